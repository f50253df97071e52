using Xen.Blkif.Targets;

namespace Xen.Blkif.PerfTests.Transport;

/// <summary>Which of the library's targets serves a file.</summary>
internal enum DiskTarget
{
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
    /// <exception cref="TargetException">It cannot be opened.</exception>
    /// <exception cref="UserException">It is not there.</exception>
    public static IBlockTarget Open(DiskTarget kind, string path)
    {
        if (kind == DiskTarget.File)
            return FileTarget.Open(path);
        if (!File.Exists(path))
            throw new UserException($"The file '{path}' does not exist.");
        long length = new FileInfo(path).Length;
        return kind == DiskTarget.Memory ? new MemoryTarget(length) : new NullTarget(length);
    }
}
