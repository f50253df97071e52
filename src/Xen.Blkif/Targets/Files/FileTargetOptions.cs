using Microsoft.Extensions.Logging;

namespace Xen.Blkif.Targets;

/// <summary>How an image is opened.</summary>
public sealed record FileTargetOptions
{
    /// <summary>Opens the file for reading only; the guest is told that the disk is read-only.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>
    /// Threads a queue has for requests that would block it, 0 to 64. Requests that take less time than handing them over, as those of files
    /// that are in memory, stay on the queue's own thread, as all do with 0.
    /// </summary>
    public int Workers { get; init; } = 4;

    /// <summary>
    /// The logical sector size that the guest sees, in bytes: 512, 1024, 2048 or 4096. With <see langword="null"/> that of the block device,
    /// and 512 for a file.
    /// </summary>
    public int? LogicalSectorSize { get; init; }

    /// <summary>Hears of failed I/O, with the file, the place and the system's reason.</summary>
    public ILogger? Logger { get; init; }
}
