namespace Xen.Blkif.Protocol;

/// <summary>The protocol's fixed numbers.</summary>
/// <remarks>Source: Xen's <c>public/io/blkif.h</c>.</remarks>
public static class BlkifLimits
{
    /// <summary>Bytes in the unit of every sector number of the protocol, whatever the disk's logical sector size.</summary>
    public const int SectorSize = 512;

    /// <summary>Sectors in a page, so that a segment's last sector is at most one less.</summary>
    public const int SectorsPerPage = 8;

    /// <summary>Segments that a request carries in itself (<c>BLKIF_MAX_SEGMENTS_PER_REQUEST</c>).</summary>
    public const int MaxSegments = 11;

    /// <summary>Pages of segments that an indirect request can name (<c>BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST</c>).</summary>
    public const int MaxIndirectPages = 8;

    /// <summary>Segments in one page of an indirect request.</summary>
    public const int SegmentsPerIndirectPage = 512;

    /// <summary>The flag of a discard that asks for the data to be made unrecoverable (<c>BLKIF_DISCARD_SECURE</c>).</summary>
    public const byte SecureDiscard = 1;
}
