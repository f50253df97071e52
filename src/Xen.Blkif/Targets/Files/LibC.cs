using System.Runtime.InteropServices;
using System.Text;

namespace Xen.Blkif.Targets.Files;

/// <summary>The system calls that .NET has no name for.</summary>
internal static unsafe class LibC
{
    public const int SeekEnd = 2;

    /// <summary>Give the range back; the file keeps its length and the range reads as zeros.</summary>
    public const int PunchHole = 0x02 | 0x01; // FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE

    public const int Interrupted = 4; // EINTR
    public const int Invalid = 22; // EINVAL

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

    [DllImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    public static extern int ControlFile(SafeHandle file, int command, nint argument);

    [DllImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static extern int Control(SafeHandle file, nuint request, void* argument);

    /// <summary>How often this thread has given the processor away to wait for something; negative where the system does not say.</summary>
    public static long SleepsOfThisThread()
    {
        // struct rusage: two times of two words each, and fourteen words, of which the last but one is ru_nvcsw.
        const int ThisThread = 1, Words = 18, VoluntarySwitches = 16;
        nint* usage = stackalloc nint[Words];
        return RuntimeInformation.IsOSPlatform(OSPlatform.Linux) && ResourceUsage(ThisThread, usage) == 0 ? usage[VoluntarySwitches] : -1;
    }

    [DllImport("libc", EntryPoint = "getrusage")]
    private static extern int ResourceUsage(int who, nint* usage);

    /// <summary>The folder of an open block device in sysfs; null where the kernel does not say.</summary>
    public static string? DeviceFolder(SafeHandle file)
    {
        // The layout of struct statx is the same everywhere, unlike that of struct stat.
        const int EmptyPath = 0x1000, MajorOffset = 0x80, MinorOffset = 0x84, Length = 0x100, LongestPath = 4096;
        byte* status = stackalloc byte[Length];
        byte nothing = 0;
        if (Status(file, &nothing, EmptyPath, 0, status) != 0)
            return null;

        byte[] link = Encoding.ASCII.GetBytes($"/sys/dev/block/{*(uint*)(status + MajorOffset)}:{*(uint*)(status + MinorOffset)}\0");
        byte* path = stackalloc byte[LongestPath];
        fixed (byte* name = link)
            return RealPath(name, path) == null ? null : Marshal.PtrToStringAnsi((nint)path);
    }

    [DllImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static extern int Status(SafeHandle folder, byte* path, int flags, uint mask, byte* status);

    [DllImport("libc", EntryPoint = "realpath", SetLastError = true)]
    private static extern byte* RealPath(byte* path, byte* resolved);

#if NETSTANDARD
    [DllImport("libc", EntryPoint = "pread64", SetLastError = true)]
    public static extern nint Read(SafeHandle file, byte* buffer, nint count, long offset);

    [DllImport("libc", EntryPoint = "pwrite64", SetLastError = true)]
    public static extern nint Write(SafeHandle file, byte* buffer, nint count, long offset);
#endif
}
