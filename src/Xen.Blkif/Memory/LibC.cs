using System.Runtime.InteropServices;

namespace Xen.Blkif.Memory;

/// <summary>The system call for memory that .NET has no name for.</summary>
internal static unsafe class LibC
{
    private const int DoNotNeed = 4; // MADV_DONTNEED

    private static readonly bool IsLinux = RuntimeInformation.IsOSPlatform(OSPlatform.Linux);

    /// <summary>Gives the whole pages of a range back to the system, which come again as zeros when they are used. Does nothing on other systems than Linux.</summary>
    public static void ReleasePages(byte* start, long length)
    {
        // The system's own pages, which may be larger than Xen's: it would round the end up, and take what lies behind the range as well.
        nuint mask = (nuint)Environment.SystemPageSize - 1;
        nuint first = ((nuint)start + mask) & ~mask;
        nuint end = ((nuint)start + (nuint)length) & ~mask;

        // An advice: where it is not followed, the pages stay.
        if (IsLinux && end > first)
            _ = Advise((byte*)first, end - first, DoNotNeed);
    }

    [DllImport("libc", EntryPoint = "madvise")]
    private static extern int Advise(byte* start, nuint length, int advice);
}
