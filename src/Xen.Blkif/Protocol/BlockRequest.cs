namespace Xen.Blkif.Protocol;

/// <summary>What a checked request does to the disk.</summary>
public enum BlockRequestKind : byte
{
    /// <summary>Reads <see cref="BlockRequest.SectorCount"/> sectors.</summary>
    Read,

    /// <summary>Writes <see cref="BlockRequest.SectorCount"/> sectors.</summary>
    Write,

    /// <summary>Brings earlier writes to stable storage, and nothing else.</summary>
    Flush,

    /// <summary>Flushes first, then writes <see cref="BlockRequest.SectorCount"/> sectors. The write itself need not be stable.</summary>
    FlushThenWrite,

    /// <summary>Discards <see cref="BlockRequest.SectorCount"/> sectors.</summary>
    Discard,

    /// <summary>Discards <see cref="BlockRequest.SectorCount"/> sectors so that nobody can recover them.</summary>
    SecureDiscard,

    /// <summary>
    /// Waits for all that came before, flushes, writes <see cref="BlockRequest.SectorCount"/> sectors, which may be none, and flushes again;
    /// all that comes later waits.
    /// </summary>
    Barrier,
}

/// <summary>A request that has passed every check: inside the disk, aligned, allowed, its segments inside their pages.</summary>
/// <remarks>Except where it <see cref="AwaitsSegments"/>: then nothing but what it does and how many segments it has was checked.</remarks>
public readonly struct BlockRequest
{
    internal BlockRequest(BlockRequestKind kind, int indirectSegmentCount)
        : this(kind, 0, 0, indirectSegmentCount) => AwaitsSegments = true;

    internal BlockRequest(BlockRequestKind kind, ulong sector, ulong sectorCount, int segmentCount)
    {
        Kind = kind;
        Sector = sector;
        SectorCount = sectorCount;
        SegmentCount = segmentCount;
    }

    /// <summary>What it does.</summary>
    public BlockRequestKind Kind { get; }

    /// <summary>Whether its segments lie in a page of their own, to be copied and given to <see cref="RequestParser.ParseIndirect"/>.</summary>
    public bool AwaitsSegments { get; }

    /// <summary>The first sector on the disk, in units of 512 bytes.</summary>
    public ulong Sector { get; }

    /// <summary>Sectors, in units of 512 bytes; 0 for a flush or a barrier alone. <see cref="Sector"/> plus this does not pass the end of the disk.</summary>
    public ulong SectorCount { get; }

    /// <summary>Segments of data, 0 to 11, or of an indirect request 1 to what the disk offers; their sectors add up to <see cref="SectorCount"/>.</summary>
    public int SegmentCount { get; }
}
