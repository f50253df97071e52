using System.Diagnostics;

namespace Xen.Blkif.Diagnostics;

/// <summary>Allows a burst of log lines and then a few a minute: a guest must not fill the host's disk with what it provokes (XSA-180).</summary>
/// <remarks>Used by one thread.</remarks>
internal sealed class LogBudget
{
    /// <summary>Lines in a burst, and lines a minute from then on.</summary>
    public const int LinesPerMinute = 10;

    private static readonly long TicksPerLine = Stopwatch.Frequency * 60 / LinesPerMinute;

    private long _credit = TicksPerLine * LinesPerMinute;
    private long _last = Stopwatch.GetTimestamp();
    private long _suppressed;

    /// <summary>Asks for a line.</summary>
    /// <param name="suppressed">How many were not allowed since the last that was.</param>
    /// <returns>Whether it may be written.</returns>
    public bool TrySpend(out long suppressed)
    {
        long now = Stopwatch.GetTimestamp();
        _credit = Math.Min(_credit + now - _last, TicksPerLine * LinesPerMinute);
        _last = now;
        suppressed = _suppressed;
        if (_credit < TicksPerLine)
        {
            _suppressed++;
            return false;
        }

        _credit -= TicksPerLine;
        _suppressed = 0;
        return true;
    }
}
