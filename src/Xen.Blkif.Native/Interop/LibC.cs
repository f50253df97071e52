using System.Runtime.InteropServices;

namespace Xen.Blkif.Native.Interop;

/// <summary>The C library's part in waiting.</summary>
internal static unsafe partial class LibC
{
    public const short PollIn = 1;
    public const int Again = 11;       // EAGAIN
    public const int Interrupted = 4;  // EINTR
    public const int NoEntry = 2;      // ENOENT
    public const int AccessDenied = 13; // EACCES
    public const int NoSuchIoctl = 25; // ENOTTY
    public const int NoSuchCall = 38;  // ENOSYS

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    public static partial int Poll(PollDescriptor* descriptors, nuint count, int timeout);

    [LibraryImport("libc", EntryPoint = "free")]
    public static partial void Free(void* memory);

    /// <summary><c>struct pollfd</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct PollDescriptor
    {
        /// <summary>The file descriptor.</summary>
        public int Descriptor;

        /// <summary>What is waited for.</summary>
        public short Events;

        /// <summary>What came.</summary>
        public short Returned;
    }
}
