using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Protocol;

/// <summary>What the layouts of a request have in common. Used as a generic constraint, so that each layout gets code of its own.</summary>
/// <remarks>Everything read here is what the guest wrote: unchecked.</remarks>
public interface IBlkifRequest
{
    /// <summary>The operation, any byte.</summary>
    byte Operation { get; }

    /// <summary>Segments in use, any byte.</summary>
    byte SegmentCount { get; }

    /// <summary>The guest's own name for the request; at the same place whatever the operation.</summary>
    ulong Id { get; }

    /// <summary>The first sector on the disk, in units of 512 bytes; at the same place whatever the operation.</summary>
    ulong SectorNumber { get; }

    /// <summary>The sectors of a discard, in units of 512 bytes.</summary>
    ulong DiscardSectorCount { get; }

    /// <summary>The flags of a discard, any byte.</summary>
    byte DiscardFlags { get; }

    /// <summary>What an indirect request means, any byte.</summary>
    byte IndirectOperation { get; }

    /// <summary>The segments of an indirect request, any number.</summary>
    int IndirectSegmentCount { get; }

    /// <summary>The grant of an indirect request's page of segments; the first one, where it has more than fit into it.</summary>
    GrantReference IndirectReference { get; }

    /// <summary>Where the segments start, in bytes from the start of the request.</summary>
    int SegmentsOffset { get; }

    /// <summary>A segment of a read, write or flush.</summary>
    /// <param name="index">0 to 10.</param>
    BlkifSegment Segment(int index);

    /// <summary>Makes this a read, write or flush.</summary>
    /// <param name="operation">The operation.</param>
    /// <param name="id">Any number, echoed in the response.</param>
    /// <param name="sectorNumber">The first sector on the disk, in units of 512 bytes.</param>
    /// <param name="segments">At most 11.</param>
    void SetTransfer(BlkifOperation operation, ulong id, ulong sectorNumber, ReadOnlySpan<BlkifSegment> segments);

    /// <summary>Makes this a discard.</summary>
    /// <param name="id">Any number, echoed in the response.</param>
    /// <param name="sectorNumber">The first sector, in units of 512 bytes.</param>
    /// <param name="sectorCount">Sectors, in units of 512 bytes.</param>
    /// <param name="flags"><see cref="BlkifLimits.SecureDiscard"/> or 0.</param>
    void SetDiscard(ulong id, ulong sectorNumber, ulong sectorCount, byte flags);

    /// <summary>Makes this an indirect request.</summary>
    /// <param name="operation">What it means.</param>
    /// <param name="id">Any number, echoed in the response.</param>
    /// <param name="sectorNumber">The first sector on the disk, in units of 512 bytes.</param>
    /// <param name="segmentCount">Segments in the page.</param>
    /// <param name="page">The grant of the page that holds them.</param>
    void SetIndirect(BlkifOperation operation, ulong id, ulong sectorNumber, ushort segmentCount, GrantReference page);
}

/// <summary>What the layouts of a response have in common. Used as a generic constraint.</summary>
public interface IBlkifResponse
{
    /// <summary>The request's own <c>id</c>.</summary>
    ulong Id { get; }

    /// <summary>The request's own operation; of an indirect request the one that it meant.</summary>
    byte Operation { get; }

    /// <summary>How it went.</summary>
    BlkifStatus Status { get; }

    /// <summary>Fills the response, padding included.</summary>
    /// <param name="id">The request's own.</param>
    /// <param name="operation">The request's own; of an indirect request the one that it meant.</param>
    /// <param name="status">How it went.</param>
    void Fill(ulong id, byte operation, BlkifStatus status);
}
