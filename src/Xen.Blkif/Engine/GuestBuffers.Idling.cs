using System.Diagnostics;

namespace Xen.Blkif.Engine;

/// <content>What is let go of when there is nothing better to do.</content>
internal sealed unsafe partial class GuestBuffers
{
    /// <summary>How long the queue may sleep before <see cref="Tidy"/> has something to do, in milliseconds; -1 for ever.</summary>
    /// <param name="isIdle">Whether no request is under way.</param>
    public int MaxSleepMilliseconds(bool isIdle)
    {
        long now = _clock();
        long pages = _persistent?.TimeUntilUntidy(now) ?? long.MaxValue;
        long buffers = Math.Min(_indirect.TimeUntilUntidy(now), _pieces.TimeUntilUntidy(now));
        if (isIdle)
            buffers = Math.Min(buffers, _small.TimeUntilUntidy(now));

        // Rounded up: who wakes a moment too early finds nothing to do.
        double milliseconds = Math.Ceiling(Math.Min(pages, buffers) * 1e3 / Stopwatch.Frequency);
        return milliseconds < int.MaxValue ? (int)milliseconds : Timeout.Infinite;
    }

    /// <summary>Lets go of pages and gives back memory that nobody has used for long, and makes room where there was none. For idle moments.</summary>
    /// <param name="now">The time.</param>
    /// <param name="isIdle">Whether no request is under way.</param>
    public void Tidy(long now, bool isIdle)
    {
        _persistent?.Tidy(now);
        if (isIdle)
            _small.Tidy(now);
        _indirect.Tidy(now);
        _pieces.Tidy(now);
    }
}
