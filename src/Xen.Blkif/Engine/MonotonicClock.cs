using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Xen.Blkif.Engine;

/// <summary>The time, in ticks of <see cref="Stopwatch"/>, which a queue asks for once or twice in each pass.</summary>
internal static unsafe class MonotonicClock
{
#if !NETSTANDARD
    private const int Monotonic = 1; // CLOCK_MONOTONIC
    private const long NanosecondsPerSecond = 1_000_000_000;

    // As Stopwatch has it there.
    private static readonly bool IsLinux = OperatingSystem.IsLinux() && Stopwatch.Frequency == NanosecondsPerSecond && Environment.Is64BitProcess;
#endif

    /// <summary>The time.</summary>
    public static long Now()
    {
#if !NETSTANDARD
        // Without the runtime's layers around it, which cost as much as the clock itself.
        if (IsLinux)
        {
            TimeSpec time;
            _ = GetTime(Monotonic, &time);
            return (time.Seconds * NanosecondsPerSecond) + time.Nanoseconds;
        }
#endif
        return Stopwatch.GetTimestamp();
    }

#if !NETSTANDARD
    // Nothing that blocks: a few instructions, or a short system call on machines whose clock cannot be read without.
    [SuppressGCTransition]
    [DllImport("libc", EntryPoint = "clock_gettime")]
    private static extern int GetTime(int clock, TimeSpec* time);

    private struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }
#endif
}
