using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xen.Blkif.Targets;

namespace Xen.Blkif.IoUring;

/// <summary>Opens files and block devices in the best way that this system has.</summary>
public static partial class FileTargets
{
    /// <summary>Opens an image by io_uring; where that is not to be had, by threads, and the logger hears why.</summary>
    /// <param name="path">The file or block device.</param>
    /// <param name="options">How; <see langword="null"/> for the defaults.</param>
    /// <exception cref="TargetException">The file is missing, may not be opened, is in use, or has no whole number of sectors.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    public static IBlockTarget Open(string path, FileTargetOptions? options = null)
    {
        if (IoUringSupport.IsThere(out string refusal))
            return IoUringTarget.Open(path, options);

        FileTarget file = FileTarget.Open(path, options);
        LogNoIoUring(options?.Logger ?? NullLogger.Instance, path, refusal);
        return file;
    }

    [LoggerMessage(2, LogLevel.Warning, "The image '{Path}' is served by threads and not by io_uring: {Reason}")]
    private static partial void LogNoIoUring(ILogger logger, string path, string reason);
}
