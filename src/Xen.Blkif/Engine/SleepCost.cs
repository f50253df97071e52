using System.Diagnostics;

namespace Xen.Blkif.Engine;

/// <summary>How long it pays to look for work before a sleep, on this machine: about as long as a sleep and being woken cost.</summary>
/// <remarks>
/// What they cost is mostly calls of the two kernels and of the hypervisor, in the guest and here, and how slow those are shows in how long it
/// takes to notify the guest: a microsecond or two as a rule, a hundred on machines that are emulated or run inside of others.
/// </remarks>
internal struct SleepCost
{
    // Notifications are measured now and then, for the clock is not free either.
    private const long Between = 64;

    // The notification itself, on the other side what it wakes, and here the event, poll, its read, and the unmasking, with their system calls.
    private const int CallsOfSleep = 8;

    // 32 µs: what it costs to be woken where calls are quick, and what QEMU looks for at most (poll-max-ns).
    private static readonly long Least = Stopwatch.Frequency / 31_250;
    private static readonly long Most = Stopwatch.Frequency / 1_000;

    private long _call;

    /// <summary>The time, in ticks of the clock.</summary>
    public readonly long Ticks => Math.Min(Math.Max(Least, CallsOfSleep * _call), Most);

    /// <summary>Whether a notification is one of those that are measured.</summary>
    /// <param name="number">Which it is, from 1. The first ones of a process take long for other reasons.</param>
    public static bool IsSample(long number) => number % Between == 0;

    /// <summary>A notification was measured.</summary>
    /// <param name="ticks">How long it took. One that was interrupted counts as what makes the time longest, or twice what it was before.</param>
    public void Note(long ticks)
    {
        ticks = Math.Min(ticks, Most / CallsOfSleep);
        _call = _call == 0 ? ticks : _call + ((Math.Min(ticks, 2 * _call) - _call) / 4);
    }
}
