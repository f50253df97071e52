using System.Runtime.InteropServices;

namespace Xen.Blkif.Memory;

/// <summary>The system call for memory that .NET has no name for.</summary>
internal static unsafe class LibC
{
    private const int DoNotNeed = 4; // MADV_DONTNEED

    private static readonly bool IsLinux = RuntimeInformation.IsOSPlatform(OSPlatform.Linux);

    /// <summary>Gives whole pages back to the system, which come again as zeros when they are used. Does nothing on other systems than Linux.</summary>
    public static void ReleasePages(byte* start, long length)
    {
        // An advice: where it is not followed, the pages stay.
        if (IsLinux && length > 0)
            _ = Advise(start, (nuint)length, DoNotNeed);
    }

    [DllImport("libc", EntryPoint = "madvise")]
    private static extern int Advise(byte* start, nuint length, int advice);
}
