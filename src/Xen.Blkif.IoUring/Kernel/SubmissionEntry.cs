using System.Runtime.InteropServices;

namespace Xen.Blkif.IoUring.Kernel;

/// <summary><c>struct io_uring_sqe</c>: what the kernel is asked to do.</summary>
[StructLayout(LayoutKind.Explicit, Size = 64)]
internal struct SubmissionEntry
{
    [FieldOffset(0)]
    public Operation Operation;

    [FieldOffset(4)]
    public int Descriptor;

    /// <summary>The first byte of the file.</summary>
    [FieldOffset(8)]
    public long Offset;

    /// <summary>Of the memory, or of the vectors; for <see cref="Operation.Allocate"/> the bytes of the range.</summary>
    [FieldOffset(16)]
    public long Address;

    /// <summary>Bytes, or vectors; for <see cref="Operation.Allocate"/> its mode.</summary>
    [FieldOffset(24)]
    public uint Length;

    /// <summary>For <see cref="Operation.Poll"/> what to wait for.</summary>
    [FieldOffset(28)]
    public uint Flags;

    /// <summary>Comes back with the result.</summary>
    [FieldOffset(32)]
    public ulong Name;

    public static SubmissionEntry Poll(int descriptor)
    {
        const uint Readable = 1; // POLLIN
        return new SubmissionEntry
        {
            Operation = Operation.Poll,
            Descriptor = descriptor,
            Flags = BitConverter.IsLittleEndian ? Readable : Readable << 16,
        };
    }
}

/// <summary><c>struct io_uring_cqe</c>: how it went.</summary>
/// <param name="Name">The name that the request was given.</param>
/// <param name="Result">Bytes, or what the request says it is; negative the number of an error.</param>
/// <param name="Flags">Nothing that is asked for here.</param>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct CompletionEntry(ulong Name, int Result, uint Flags);

/// <summary><c>enum io_uring_op</c>, as far as it is used.</summary>
internal enum Operation : byte
{
    ReadMany = 1,
    WriteMany = 2,
    Sync = 3,
    Poll = 6,
    Allocate = 17,
    Read = 22,
    Write = 23,
}
