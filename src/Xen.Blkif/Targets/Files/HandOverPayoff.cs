using System.Diagnostics;

namespace Xen.Blkif.Targets.Files;

/// <summary>Learns how long the requests of a queue take, and whether handing one to another thread pays.</summary>
/// <remarks>
/// Waking a thread, and being woken by it, costs tens of microseconds; a read of what is in memory takes one. So requests are handed over
/// only where those of their kind took longer, lately, than a hand-over there and back. Both are measured, on this machine, with this
/// file. Thread-safe: an update that two threads make at once may be lost, which costs nothing.
/// </remarks>
internal sealed class HandOverPayoff
{
    // A new duration counts for an eighth: one slow request among fast ones changes little, eight change the mind.
    private const int Weight = 8;
    private const int Unknown = -1;

    // However long waking took once: a request of this length is for another thread.
    private static readonly long LongestWake = Stopwatch.Frequency / 1000;

    private readonly long[] _durations = [Unknown, Unknown, Unknown, Unknown];
    private long _wake = Unknown;

    /// <summary>Whether a request of a kind should be handed over. True while too little is known.</summary>
    public bool Pays(BlockIoKind kind)
    {
        long duration = Volatile.Read(ref _durations[(int)kind]);
        return duration < 0 || duration >= 2 * Math.Min(Volatile.Read(ref _wake), LongestWake);
    }

    /// <summary>Learns how long a request took.</summary>
    /// <param name="kind">Its kind.</param>
    /// <param name="ticks">Ticks of the stopwatch.</param>
    public void Took(BlockIoKind kind, long ticks) => Learn(ref _durations[(int)kind], ticks);

    /// <summary>Learns how long an idle thread took to start on a request.</summary>
    /// <param name="ticks">Ticks of the stopwatch.</param>
    public void Woke(long ticks) => Learn(ref _wake, ticks);

    private static void Learn(ref long mean, long ticks)
    {
        long old = Volatile.Read(ref mean);
        Volatile.Write(ref mean, old < 0 ? ticks : old + ((ticks - old) / Weight));
    }
}
