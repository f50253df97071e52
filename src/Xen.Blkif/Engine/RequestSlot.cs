using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Engine;

/// <summary>One request under way, from the ring and back to it. Lies in native memory, so that targets and grant copies can point into it.</summary>
internal unsafe struct RequestSlot
{
    /// <summary>The guest's own name for the request.</summary>
    public ulong Id;

    /// <summary>The operation that the response names.</summary>
    public byte Operation;

    /// <summary>What is left to do; a flush with data becomes a write once it is flushed.</summary>
    public BlockRequestKind Kind;

    /// <summary>How it goes so far.</summary>
    public BlkifStatus Status;

    /// <summary>Why it was refused, if it was.</summary>
    public Refusal Refusal;

    /// <summary>Segments of data.</summary>
    public int SegmentCount;

    /// <summary>The segments: in the private copy of the request, or in the buffer that an indirect one has rented.</summary>
    public BlkifSegment* Segments;

    /// <summary>The buffer of an indirect request; null where it is none.</summary>
    public byte* Rented;

    /// <summary>The first byte on the target of what is left to do.</summary>
    public long Offset;

    /// <summary>Bytes left to do.</summary>
    public long Length;

    /// <summary>Bytes that the request is about, for the statistics.</summary>
    public long TotalLength;

    /// <summary>The data, as the target sees it.</summary>
    public IoVector Data;

    /// <summary>When it was taken from the ring, by <see cref="System.Diagnostics.Stopwatch"/>.</summary>
    public long Started;
}
