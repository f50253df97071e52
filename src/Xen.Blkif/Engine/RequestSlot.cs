using System.Runtime.InteropServices;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Engine;

/// <summary>One request under way, from the ring and back to it. Lies in native memory, so that targets and grant copies can point into it.</summary>
/// <remarks>What every request has is in the first line of the cache, the rest in the second.</remarks>
[StructLayout(LayoutKind.Sequential, Size = Size)]
internal unsafe struct RequestSlot
{
    /// <summary>Bytes of a slot: two lines of the cache.</summary>
    private const int Size = 128;

    /// <summary>The guest's own name for the request.</summary>
    public ulong Id;

    /// <summary>When it was taken from the ring, by <see cref="System.Diagnostics.Stopwatch"/>.</summary>
    public long Started;

    /// <summary>The segments: in the private copy of the request, or in what an indirect one has rented.</summary>
    public BlkifSegment* Segments;

    /// <summary>The first byte on the target of what is left to do.</summary>
    public long Offset;

    /// <summary>Bytes left to do.</summary>
    public long Length;

    /// <summary>
    /// The pieces of the data, as the target sees them: room for one for each segment. Between requests null, or one piece: memory of our own
    /// that stays the slot's, of which the next request uses what it needs; then <see cref="VectorCount"/> is 1, and it is copied.
    /// </summary>
    public IoVector* Vectors;

    /// <summary>How many there are.</summary>
    public int VectorCount;

    /// <summary>Segments of data.</summary>
    public int SegmentCount;

    /// <summary>How it goes so far.</summary>
    public BlkifStatus Status;

    /// <summary>The operation that the response names.</summary>
    public byte Operation;

    /// <summary>What is left to do; a flush with data becomes a write once it is flushed, a barrier also a flush once it is written.</summary>
    public BlockRequestKind Kind;

    /// <summary>Why it was refused, if it was.</summary>
    public Refusal Refusal;

    /// <summary>Whether the data is in memory of our own, to be copied from or to the guest.</summary>
    public bool IsCopied;

    /// <summary>Whether it has anything that is to be given back: something rented, mapped or held.</summary>
    public bool HasLoans;

    /// <summary>Whether a write is a barrier's, and a flush comes after it.</summary>
    public bool FlushesAfter;

    /// <summary>Bytes that the request is about, for the statistics.</summary>
    public long TotalLength;

    /// <summary>Room for the segments and the vectors of an indirect request; null where it is none.</summary>
    public byte* Rented;

    /// <summary>How many pieces of memory an indirect one has rented for its data, one for each vector; 0 where it is not copied.</summary>
    public int Pieces;

    /// <summary>Where the pages of its segments are mapped, for it alone; 0 where they are not.</summary>
    public nint Mapped;

    /// <summary>How many of its segments, from the first, hold a page that stays mapped.</summary>
    public int Held;

    /// <summary>How often its flush was tried again.</summary>
    public int Retries;

    /// <summary>Adds a piece of data behind those that there are.</summary>
    public void AddVector(nint address, nint length)
    {
        // Pages of one mapping that are used whole lie behind each other: the fewer pieces, the less the target has to do.
        if (VectorCount > 0 && Vectors[VectorCount - 1] is var last && last.Address + last.Length == address)
            Vectors[VectorCount - 1] = new IoVector(last.Address, last.Length + length);
        else
            Vectors[VectorCount++] = new IoVector(address, length);
    }
}
