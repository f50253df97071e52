using System.Runtime.InteropServices;

namespace Xen.Blkif.Targets.Files;

/// <summary>The system calls that .NET has no name for.</summary>
internal static unsafe class LibC
{
    public const int SeekEnd = 2;

    /// <summary>Give the range back; the file keeps its length and the range reads as zeros.</summary>
    public const int PunchHole = 0x02 | 0x01; // FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE

    public const int Interrupted = 4; // EINTR

    /// <summary>The most pieces of memory that one call takes (IOV_MAX).</summary>
    public const int MostVectors = 1024;

    [DllImport("libc", EntryPoint = "fallocate64", SetLastError = true)]
    public static extern int Fallocate(SafeHandle file, int mode, long offset, long length);

    [DllImport("libc", EntryPoint = "lseek64", SetLastError = true)]
    public static extern long Seek(SafeHandle file, long offset, int whence);

    [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
    public static extern int Sync(SafeHandle file);

    [DllImport("libc", EntryPoint = "preadv64", SetLastError = true)]
    public static extern nint ReadMany(SafeHandle file, IoVector* vectors, int count, long offset);

    [DllImport("libc", EntryPoint = "pwritev64", SetLastError = true)]
    public static extern nint WriteMany(SafeHandle file, IoVector* vectors, int count, long offset);

#if NETSTANDARD
    [DllImport("libc", EntryPoint = "pread64", SetLastError = true)]
    public static extern nint Read(SafeHandle file, byte* buffer, nint count, long offset);

    [DllImport("libc", EntryPoint = "pwrite64", SetLastError = true)]
    public static extern nint Write(SafeHandle file, byte* buffer, nint count, long offset);
#endif
}
