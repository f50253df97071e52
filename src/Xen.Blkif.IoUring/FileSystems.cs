using System.Runtime.InteropServices;
using Xen.Blkif.IoUring.Kernel;

namespace Xen.Blkif.IoUring;

/// <summary>What kind of file system a file is on.</summary>
internal static unsafe class FileSystems
{
    // TMPFS_MAGIC, RAMFS_MAGIC and HUGETLBFS_MAGIC of <linux/magic.h>.
    private const uint Tmpfs = 0x01021994, Ramfs = 0x858458F6, HugePages = 0x958458F6;

    /// <summary>Whether it is one without storage. io_uring hands every read there to a thread, and takes ten times as long as a plain one.</summary>
    public static bool IsInMemory(SafeHandle file)
    {
        const int Room = 256; // struct statfs has less on every processor; the kind is its first word
        nint* status = stackalloc nint[Room / sizeof(nint)];
        return Interop.FileSystem((int)file.DangerousGetHandle(), status) == 0 && (uint)status[0] is Tmpfs or Ramfs or HugePages;
    }
}
