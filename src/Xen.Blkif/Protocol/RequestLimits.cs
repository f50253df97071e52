namespace Xen.Blkif.Protocol;

/// <summary>What a disk allows, as the parser needs it to check a request.</summary>
/// <remarks>Immutable. A disk that is resized gets new limits.</remarks>
public sealed class RequestLimits
{
    /// <summary>
    /// The most segments of an indirect request that a disk can offer; a page of segments holds them. The protocol has room for 4096.
    /// </summary>
    public const int IndirectSegmentsCeiling = 256;

    private readonly int _logicalSectorSize;

    /// <summary>Says what a disk allows.</summary>
    /// <param name="sectors">Its size in units of 512 bytes.</param>
    /// <param name="logicalSectorSize">Its smallest transfer in bytes: 512, 1024, 2048 or 4096.</param>
    /// <param name="readOnly">Whether writes and discards are refused.</param>
    /// <param name="flush">Whether flushes are supported.</param>
    /// <param name="discard">Whether discards are supported.</param>
    /// <param name="maxIndirectSegments">The most segments of an indirect request, up to <see cref="IndirectSegmentsCeiling"/>; 0 where none is supported.</param>
    /// <exception cref="ArgumentOutOfRangeException">The sector size is none of the four, or there are too many segments.</exception>
    public RequestLimits(ulong sectors, int logicalSectorSize, bool readOnly, bool flush, bool discard, int maxIndirectSegments = 0)
    {
        if (logicalSectorSize is not (512 or 1024 or 2048 or 4096))
        {
            throw new ArgumentOutOfRangeException(
                nameof(logicalSectorSize), logicalSectorSize, "The logical sector size of a disk is 512, 1024, 2048 or 4096 bytes.");
        }

        // The buffers of an engine have room for so many, whatever limits it is given.
        if (maxIndirectSegments is < 0 or > IndirectSegmentsCeiling)
        {
            throw new ArgumentOutOfRangeException(
                nameof(maxIndirectSegments), maxIndirectSegments, $"An indirect request has at most {IndirectSegmentsCeiling} segments.");
        }

        _logicalSectorSize = logicalSectorSize;
        Sectors = sectors;
        ReadOnly = readOnly;
        Flush = flush;
        Discard = discard;
        MaxIndirectSegments = maxIndirectSegments;
        AlignmentMask = ((uint)logicalSectorSize / BlkifLimits.SectorSize) - 1;
        LastTransfer = (byte)(readOnly ? BlkifOperation.Read : BlkifOperation.Write);
    }

    /// <summary>The disk's size in units of 512 bytes.</summary>
    public ulong Sectors { get; }

    /// <summary>Whether writes and discards are refused.</summary>
    public bool ReadOnly { get; }

    /// <summary>Whether flushes are supported.</summary>
    public bool Flush { get; }

    /// <summary>Whether discards are supported.</summary>
    public bool Discard { get; }

    /// <summary>The most segments of an indirect request; 0 where none is supported.</summary>
    public int MaxIndirectSegments { get; }

    /// <summary>Whether discards that make data unrecoverable are supported.</summary>
    public bool SecureDiscard { get; init; }

    /// <summary>Whether writes with a barrier are supported.</summary>
    public bool Barrier { get; init; }

    /// <summary>The same for a disk of another size.</summary>
    /// <param name="sectors">Its size in units of 512 bytes.</param>
    public RequestLimits Resized(ulong sectors) => new(sectors, _logicalSectorSize, ReadOnly, Flush, Discard, MaxIndirectSegments)
    {
        SecureDiscard = SecureDiscard,
        Barrier = Barrier,
    };

    /// <summary>Whether a range lies inside the disk, however large the numbers.</summary>
    internal bool Contain(ulong sector, ulong count) => sector <= Sectors && count <= Sectors - sector;

    /// <summary>The bits of a number of sectors that are 0 in whole blocks.</summary>
    internal uint AlignmentMask { get; }

    /// <summary>The last operation that moves data and is allowed: reads come first, then writes.</summary>
    internal byte LastTransfer { get; }

    internal bool IsAligned(ulong sectors) => (sectors & AlignmentMask) == 0;
}
