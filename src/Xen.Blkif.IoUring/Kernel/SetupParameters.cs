using System.Runtime.InteropServices;

namespace Xen.Blkif.IoUring.Kernel;

/// <summary><c>struct io_uring_params</c>: what is asked of a new ring, and where the kernel has put its parts.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SetupParameters
{
    public uint SubmissionEntries;
    public uint CompletionEntries;
    public SetupFlags Flags;
    public uint ThreadProcessor;
    public uint ThreadIdle;
    public Features Features;
    public uint Workers;
    public uint Reserved0;
    public uint Reserved1;
    public uint Reserved2;
    public SubmissionOffsets Submission;
    public CompletionOffsets Completion;
}

/// <summary><c>struct io_sqring_offsets</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SubmissionOffsets
{
    public uint Head;
    public uint Tail;
    public uint Mask;
    public uint Entries;
    public uint Flags;
    public uint Dropped;
    public uint Array;
    public uint Reserved;
    public ulong UserAddress;
}

/// <summary><c>struct io_cqring_offsets</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CompletionOffsets
{
    public uint Head;
    public uint Tail;
    public uint Mask;
    public uint Entries;
    public uint Overflow;
    public uint Results;
    public uint Flags;
    public uint Reserved;
    public ulong UserAddress;
}

/// <summary><c>IORING_SETUP_*</c>.</summary>
[Flags]
internal enum SetupFlags : uint
{
    /// <summary>As in the beginning.</summary>
    None = 0,

    /// <summary>Nothing may be submitted until the ring is enabled.</summary>
    Disabled = 1 << 6,

    /// <summary>The submitting thread is not interrupted to finish results.</summary>
    CooperativeWork = 1 << 8,

    /// <summary>The ring says when it has such work.</summary>
    FlagsWork = 1 << 9,

    /// <summary>One thread submits: the one that enables the ring.</summary>
    SingleIssuer = 1 << 12,

    /// <summary>Results are finished when that thread asks for them, and at no other time.</summary>
    DeferredWork = 1 << 13,
}

/// <summary><c>IORING_FEAT_*</c>, those that are needed.</summary>
[Flags]
internal enum Features : uint
{
    /// <summary>Both queues are in one mapping (Linux 5.4).</summary>
    SingleMapping = 1 << 0,

    /// <summary>No result is lost, however many there are (5.5).</summary>
    NoDrop = 1 << 1,

    /// <summary>A wait takes a time, and with it all the operations that are used here are there (5.11).</summary>
    TimedWait = 1 << 8,

    /// <summary>All of them.</summary>
    Needed = SingleMapping | NoDrop | TimedWait,
}
