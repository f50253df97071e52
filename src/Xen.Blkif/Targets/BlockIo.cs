using System.Runtime.InteropServices;

namespace Xen.Blkif.Targets;

/// <summary>What a target is asked to do.</summary>
public enum BlockIoKind : byte
{
    /// <summary>Fill the vectors from the target.</summary>
    Read,

    /// <summary>Write the vectors to the target.</summary>
    Write,

    /// <summary>Bring every write that was completed before to stable storage.</summary>
    Flush,

    /// <summary>Give the range back; it then reads as zeros or as before.</summary>
    Discard,

    /// <summary>Make all copies of the range unrecoverable. Asked for where <see cref="BlockTargetInfo.ErasesSecurely"/> offers it.</summary>
    SecureDiscard,
}

/// <summary>A request to a target.</summary>
public readonly unsafe struct BlockIo
{
    private readonly IoVector* _vectors;

    private BlockIo(BlockIoKind kind, int slot, long offset, long length, IoVector* vectors, int vectorCount)
    {
        Kind = kind;
        Slot = slot;
        Offset = offset;
        Length = length;
        _vectors = vectors;
        VectorCount = vectorCount;
    }

    /// <summary>What to do.</summary>
    public BlockIoKind Kind { get; }

    /// <summary>The number under which the request is completed.</summary>
    public int Slot { get; }

    /// <summary>Pieces of memory to transfer, at least one for a read or write, else none.</summary>
    public int VectorCount { get; }

    /// <summary>The first byte on the target; 0 for a flush.</summary>
    public long Offset { get; }

    /// <summary>Bytes; for a read or write the sum of the vectors, for a flush 0.</summary>
    public long Length { get; }

    /// <summary>The pieces of memory, in the order of the bytes on the target; from a guest, each a whole number of sectors of 512 bytes.</summary>
    public ReadOnlySpan<IoVector> Vectors => new(_vectors, VectorCount);

    /// <summary>A read or write.</summary>
    /// <param name="kind"><see cref="BlockIoKind.Read"/> or <see cref="BlockIoKind.Write"/>.</param>
    /// <param name="slot">The number under which it is completed.</param>
    /// <param name="offset">The first byte on the target.</param>
    /// <param name="length">Bytes, the sum of the vectors.</param>
    /// <param name="vectors">The address of the first vector; they stay there until completion.</param>
    /// <param name="vectorCount">Vectors.</param>
    public static BlockIo Transfer(BlockIoKind kind, int slot, long offset, long length, nint vectors, int vectorCount) =>
        new(kind, slot, offset, length, (IoVector*)vectors, vectorCount);

    /// <summary>A flush.</summary>
    /// <param name="slot">The number under which it is completed.</param>
    public static BlockIo Flush(int slot) => new(BlockIoKind.Flush, slot, 0, 0, null, 0);

    /// <summary>A discard.</summary>
    /// <param name="slot">The number under which it is completed.</param>
    /// <param name="offset">The first byte on the target.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="secure">Whether it is a <see cref="BlockIoKind.SecureDiscard"/>.</param>
    public static BlockIo Discard(int slot, long offset, long length, bool secure = false) =>
        new(secure ? BlockIoKind.SecureDiscard : BlockIoKind.Discard, slot, offset, length, null, 0);
}

/// <summary>A piece of memory, laid out as <c>struct iovec</c>.</summary>
/// <param name="Address">The first byte.</param>
/// <param name="Length">Bytes.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct IoVector(nint Address, nint Length)
{
    /// <summary>The memory. Valid until the request that came with it is completed.</summary>
    public unsafe Span<byte> Span => new((void*)Address, (int)Length);
}
