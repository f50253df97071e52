using System.Diagnostics;

namespace Xen.Blkif.Engine;

/// <summary>How long a queue looks for work before it sleeps: learned from how long it had none lately.</summary>
/// <remarks>
/// To be woken costs tens of microseconds, and most of the time of a guest that has one request under way. Looking costs the processor, so
/// it is bounded, and ends where it does not help: a queue without work for long does not look at all, and one that looked for the longest
/// time in vain stops for a while, each time longer.
/// </remarks>
internal struct PollingTime
{
    private const int MostSleepsWithout = 64;

    private static readonly long Shortest = Stopwatch.Frequency / 250_000; // 4 µs

    private int _sleepsWithout;
    private int _sleepsLeft;

    /// <summary>How long to look before the next sleep, in ticks of the clock; 0 for not at all.</summary>
    public long Ticks { get; private set; }

    /// <summary>There was work while the queue was looking.</summary>
    public void Found() => _sleepsWithout = 0;

    /// <summary>The queue slept.</summary>
    /// <param name="ticks">How long it had no work, from when it began to look.</param>
    /// <param name="longest">The longest time to look, in ticks of the clock; more than 0.</param>
    public void Slept(long ticks, long longest)
    {
        if (_sleepsLeft > 0)
        {
            _sleepsLeft--;
        }
        else if (ticks > 2 * longest)
        {
            // As long again as the longest look, for the time that waking takes, is as if there had been work within it.
            Ticks = 0;
        }
        else if (Ticks < longest)
        {
            Ticks = Math.Min(Math.Max(Shortest, 2 * Ticks), longest);
        }
        else
        {
            _sleepsLeft = _sleepsWithout = Math.Min(Math.Max(1, 2 * _sleepsWithout), MostSleepsWithout);
            Ticks = 0;
        }
    }
}
