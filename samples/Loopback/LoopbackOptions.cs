using Xen.Blkif.Protocol;

namespace Xen.Blkif.Samples.Loopback;

internal enum TargetKind
{
    File,
    Memory,
    Null,
}

internal enum Pattern
{
    RandRead,
    RandWrite,
    Read,
    Write,
}

/// <summary>What the command line asks for.</summary>
internal sealed record LoopbackOptions
{
    public string? Image { get; init; }

    public string? Import { get; init; }

    public string? Export { get; init; }

    /// <summary>Null for each in turn.</summary>
    public BlkifProtocol? Protocol { get; init; }

    public int RingPageOrder { get; init; }

    public int Depth { get; init; } = 32;

    public TargetKind Target { get; init; }

    /// <summary>The sector size of the disk, in bytes.</summary>
    public int SectorSize { get; init; } = BlkifLimits.SectorSize;

    /// <summary>Whether the frontend sees sectors of 512 bytes nevertheless.</summary>
    public bool Emulates512 { get; init; }

    public bool ReadOnly { get; init; }

    public long Size { get; init; } = 64L << 20;

    /// <summary>Null for no benchmark.</summary>
    public double? BenchSeconds { get; init; }

    public int BlockSize { get; init; } = 4096;

    public Pattern Pattern { get; init; }

    public bool Json { get; init; }

    /// <summary>With no file to serve and nothing to do with it, the program shows itself on a disk of its own.</summary>
    public bool IsSelfCheck => Image is null && Import is null && Export is null && BenchSeconds is null;

    /// <summary>An image that nothing writes to is opened so, and may be read by others meanwhile.</summary>
    public bool OnlyReads => Image is not null && !Writes;

    public bool Writes => Import is not null || (BenchSeconds is not null && Pattern is Pattern.RandWrite or Pattern.Write);
}
