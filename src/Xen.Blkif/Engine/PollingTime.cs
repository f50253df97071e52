namespace Xen.Blkif.Engine;

/// <summary>How long a queue looks for work before it sleeps: learned from what looking has saved.</summary>
/// <remarks>
/// To be woken costs tens of microseconds, a millisecond on an emulated machine, and is most of the time of a guest that has one request
/// under way. Looking costs the processor. What both cost shows in how long the queue was without work: when it slept, until it was awake
/// again; when it looked, until there was something. Looking goes on while it saves at least a third of what it takes, so that it is never
/// for much longer than a sleep costs, and a queue that has nothing to do for long does not look at all.
/// </remarks>
internal struct PollingTime
{
    // A new duration counts for a quarter.
    private const int Weight = 4;

    // What a guest waits for counts so many times what the processor spends.
    private const int WorthOfSaving = 3;

    // What a sleep takes may have changed: after so many looks in a row, one tells.
    private const int MostLooksInARow = 64;
    private const int MostSleepsInARow = 256;

    // Means, in ticks; 0 where nothing is known.
    private long _sleeping;
    private long _looking;

    private int _looks;
    private int _pause;
    private int _sleepsLeft;

    /// <summary>How long to look before the next sleep, in ticks of the clock; 0 for not at all.</summary>
    public long Ticks { get; private set; }

    /// <summary>There was work while the queue was looking.</summary>
    /// <param name="ticks">How long it had none.</param>
    /// <param name="longest">The longest time to look, in ticks of the clock; more than 0.</param>
    public void Found(long ticks, long longest)
    {
        Learn(ref _looking, ticks);
        Decide(longest);
    }

    /// <summary>The queue slept.</summary>
    /// <param name="ticks">How long it had no work, from when it last had some.</param>
    /// <param name="looked">How much of that it looked for some; 0 where it did not.</param>
    /// <param name="longest">The longest time to look, in ticks of the clock; more than 0.</param>
    public void Slept(long ticks, long looked, long longest)
    {
        // However much longer: it is too long to look for, and a few that are short are to count all the same.
        Learn(ref _sleeping, Math.Min(ticks, 2 * longest));
        if (looked > 0)
            Learn(ref _looking, looked);
        if (_sleepsLeft > 0)
            _sleepsLeft--;
        else
            Decide(longest);
    }

    private void Decide(long longest)
    {
        Ticks = 0;
        if (_sleeping > longest)
            return;

        // Where nothing is known of looking, it is tried.
        if (_looking > WorthOfSaving * (_sleeping - _looking))
        {
            _looking = 0;
            _looks = 0;
            _sleepsLeft = _pause = Math.Min(Math.Max(1, 2 * _pause), MostSleepsInARow);
        }
        else if (++_looks <= MostLooksInARow)
        {
            Ticks = _sleeping;
        }
        else
        {
            _looks = 0;
            _pause = 0;
        }
    }

    private static void Learn(ref long mean, long ticks) => mean = mean == 0 ? ticks : mean + ((ticks - mean) / Weight);
}
