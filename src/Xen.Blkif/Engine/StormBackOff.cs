namespace Xen.Blkif.Engine;

/// <summary>How long a queue does not listen to a guest that notifies it again and again of nothing (XSA-332).</summary>
/// <remarks>
/// The first few events without work are free: a guest's event and the look that found its request already may cross. After that each
/// event costs its sender a pause twice as long as the last, so that a storm comes down to a few passes a second.
/// </remarks>
internal struct StormBackOff
{
    /// <summary>Events in a row without work that are free.</summary>
    public const int Tolerated = 8;

    /// <summary>The longest pause, which is also how long the first request after a storm may have to wait.</summary>
    public const int LongestPauseMilliseconds = 100;

    private int _events;
    private bool _pauseDue;

    /// <summary>There was work: the guest is forgiven.</summary>
    public void Reset() => this = default;

    /// <summary>An event came, of which it is not known yet whether there is work behind it.</summary>
    public void Count()
    {
        _events = Math.Min(_events + 1, Tolerated + 30);
        _pauseDue = _events > Tolerated;
    }

    /// <summary>Asks whether a pause is due before the next event is waited for. There is one for each event at most.</summary>
    public bool TryTakePause(out int milliseconds)
    {
        milliseconds = _pauseDue ? Math.Min(1 << (_events - Tolerated - 1), LongestPauseMilliseconds) : 0;
        bool due = _pauseDue;
        _pauseDue = false;
        return due;
    }
}
