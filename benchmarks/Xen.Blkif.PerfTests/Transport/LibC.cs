using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Xen.Blkif.PerfTests.Transport;

/// <summary>What this program needs of Linux, on 64 bits, and .NET has no name for.</summary>
internal static unsafe partial class LibC
{
    public const short PollIn = 1;
    public const int ProtReadWrite = 3, MapShared = 1;
    public const int SolSocket = 1, ScmRights = 1;
    public const int ReceiveCloseOnExec = 0x40000000;

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    public static partial nint Map(nint address, nint length, int protection, int flags, SafeFileHandle file, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    public static partial int Unmap(nint address, nint length);

    [LibraryImport("libc", EntryPoint = "poll")]
    public static partial int Poll(PollDescriptor* descriptors, nuint count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "read")]
    public static partial nint Read(int descriptor, void* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "write")]
    public static partial nint Write(int descriptor, void* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "recvmsg", SetLastError = true)]
    public static partial nint ReceiveMessage(SafeSocketHandle socket, MessageHeader* message, int flags);

    [LibraryImport("libc", EntryPoint = "sched_setaffinity", SetLastError = true)]
    public static partial int SetAffinity(int thread, nuint length, ulong* processors);

    [LibraryImport("libc", EntryPoint = "sched_getaffinity", SetLastError = true)]
    public static partial int GetAffinity(int thread, nuint length, ulong* processors);

    /// <summary>Gives back what the allocator keeps for its next caller. Only glibc has it.</summary>
    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    public static partial int Trim(nuint kept);

    /// <summary>The processor's time that a process took so far, with that of threads that have ended.</summary>
    // clock_getcpuclockid of a process: its number, inverted, above two bits for the kind of clock.
    public static TimeSpan ProcessorTimeOf(int process)
    {
        const int ScheduledTime = 2;
        Span<long> time = [0, 0];
        fixed (long* secondsAndNanoseconds = time)
            _ = GetTime((~process << 3) | ScheduledTime, secondsAndNanoseconds);
        return TimeSpan.FromSeconds(time[0]) + TimeSpan.FromTicks(time[1] / 100);
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int GetTime(int clock, long* secondsAndNanoseconds);

    /// <summary><c>struct pollfd</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }

    /// <summary><c>struct msghdr</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct MessageHeader
    {
        public void* Name;
        public uint NameLength;
        public Vector* Vectors;
        public nuint VectorCount;
        public void* Control;
        public nuint ControlLength;
        public int Flags;
    }

    /// <summary><c>struct iovec</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Vector
    {
        public void* Start;
        public nuint Length;
    }

    /// <summary><c>struct cmsghdr</c> with room for three descriptors.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct ThreeDescriptors
    {
        public nuint Length;
        public int Level;
        public int Type;
        public fixed int Values[4];
    }
}
