using System.Diagnostics;

namespace Xen.Blkif.Targets.Files;

/// <summary>Learns how long the requests of a queue take, and whether handing one to another thread pays.</summary>
/// <remarks>
/// Waking a thread, and being woken by it, costs tens of microseconds; a read of what is in memory takes one. So requests are handed over
/// only where those of their kind took longer, lately, than a hand-over there and back, and slept in that time: another thread
/// computes no faster than this one, which RAM disks are all about. All of it is measured, on this machine, with this file. Thread-safe: an
/// update that two threads make at once may be lost, which costs nothing.
/// </remarks>
internal sealed class HandOverPayoff
{
    // A new duration counts for an eighth: one slow request among fast ones changes little, eight change the mind.
    private const int Weight = 8;
    private const int Unknown = -1;

    // Of requests that take no time, one in so many is measured, for to look at the clock takes some.
    private const int MeasuredEvery = 4;

    // Of requests that take long, one in so many is asked whether it slept, for to ask costs two system calls.
    private const int AskedEvery = 8;

    // However long waking took once: a request of this length is for another thread, asleep or not.
    private static readonly long LongestWake = Stopwatch.Frequency / 1000;

    private readonly long[] _durations = [Unknown, Unknown, Unknown, Unknown];

    // The same of those that were asked whether they slept, where one that did not counts as none.
    private readonly long[] _sleeps = [Unknown, Unknown, Unknown, Unknown];
    private long _wake = Unknown;
    private int _untilMeasured;
    private int _untilAsked;

    /// <summary>Whether a request of a kind should be handed over. True while too little is known.</summary>
    public bool Pays(BlockIoKind kind) => IsLong(_durations, kind) && IsLong(_sleeps, kind);

    /// <summary>Whether it should be found out how long the next request takes that is not handed over.</summary>
    public bool WantsToKnowDuration() => _untilMeasured-- <= 0;

    /// <summary>Whether it should be found out whether the next request of a kind sleeps.</summary>
    public bool WantsToKnowSleep(BlockIoKind kind)
    {
        if (!IsLong(_durations, kind))
            return false;
        if (_untilAsked-- > 0)
            return false;
        _untilAsked = AskedEvery - 1;
        return true;
    }

    /// <summary>Learns how long a request took.</summary>
    /// <param name="kind">Its kind.</param>
    /// <param name="ticks">Ticks of the stopwatch.</param>
    public void Took(BlockIoKind kind, long ticks)
    {
        _untilMeasured = IsLong(ticks) ? 0 : MeasuredEvery - 1;
        Learn(ref _durations[(int)kind], ticks);
    }

    /// <summary>Learns whether a request slept that took some time.</summary>
    /// <param name="kind">Its kind.</param>
    /// <param name="ticks">Ticks of the stopwatch.</param>
    /// <param name="slept">Whether its thread gave the processor away.</param>
    public void Took(BlockIoKind kind, long ticks, bool slept) => Learn(ref _sleeps[(int)kind], slept || ticks >= LongestWake ? ticks : 0);

    /// <summary>Learns how long an idle thread took to start on a request.</summary>
    /// <param name="ticks">Ticks of the stopwatch.</param>
    public void Woke(long ticks) => Learn(ref _wake, ticks);

    private bool IsLong(long[] means, BlockIoKind kind)
    {
        long mean = Volatile.Read(ref means[(int)kind]);
        return mean < 0 || IsLong(mean);
    }

    private bool IsLong(long ticks) => ticks >= 2 * Math.Min(Volatile.Read(ref _wake), LongestWake);

    private static void Learn(ref long mean, long ticks)
    {
        long old = Volatile.Read(ref mean);
        Volatile.Write(ref mean, old < 0 ? ticks : old + ((ticks - old) / Weight));
    }
}
