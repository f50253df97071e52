using Xen.Blkif.IoUring;
using Xen.Blkif.Targets;

namespace Xen.Blkif.PerfTests.Transport;

/// <summary>Which of the library's targets serves a file.</summary>
internal enum DiskTarget
{
    /// <summary>The io_uring target.</summary>
    Uring,

    /// <summary>The file target: system calls that block, on the queue's thread or on others.</summary>
    File,

    /// <summary>Memory, of the file's size.</summary>
    Memory,

    /// <summary>Nothing, of the file's size.</summary>
    Null,
}

/// <summary>Opens targets.</summary>
internal static class DiskTargets
{
    /// <summary>Opens a target.</summary>
    /// <param name="kind">Which.</param>
    /// <param name="path">The file.</param>
    /// <param name="direct">Whether it is read and written past the page cache.</param>
    /// <exception cref="TargetException">It cannot be opened.</exception>
    /// <exception cref="UserException">It is not there.</exception>
    public static IBlockTarget Open(DiskTarget kind, string path, bool direct)
    {
        var options = new FileTargetOptions { DirectIo = direct };
        if (!File.Exists(path))
            throw new UserException($"The file '{path}' does not exist.");
        return kind switch
        {
            DiskTarget.Uring => IoUringTarget.Open(path, options),
            DiskTarget.File => FileTarget.Open(path, options),
            DiskTarget.Memory => new MemoryTarget(new FileInfo(path).Length),
            _ => new NullTarget(new FileInfo(path).Length),
        };
    }
}
