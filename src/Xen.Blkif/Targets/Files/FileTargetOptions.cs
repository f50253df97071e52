using Microsoft.Extensions.Logging;

namespace Xen.Blkif.Targets;

/// <summary>How an image is opened.</summary>
public sealed record FileTargetOptions
{
    /// <summary>Opens the file for reading only; the guest is told that the disk is read-only.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>
    /// Whether to read and write past the page cache (O_DIRECT), on Linux: what guests read stays out of this host's memory, and what they write
    /// is with the storage when they hear of it, though only a flush makes it stable. Memory that a queue is given has to start at a multiple of
    /// the sector size, as that of guests' requests does. With <see langword="null"/>, block devices with sectors of 512 bytes are, and larger
    /// sectors and files are not.
    /// </summary>
    /// <remarks>
    /// A block device may be shared with another host, to which a guest is moved: what the page cache of this one has would be lost there, and
    /// what that of the other has would be stale. Linux's own backend goes past it too.
    /// </remarks>
    public bool? DirectIo { get; init; }

    /// <summary>
    /// How long to wait for a file that another process has open for writing; not at all unless set. A process that was killed lets go of its
    /// files when the storage has done what it was asked, which with io_uring may be some milliseconds after it is gone.
    /// </summary>
    public TimeSpan LockPatience { get; init; }

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
