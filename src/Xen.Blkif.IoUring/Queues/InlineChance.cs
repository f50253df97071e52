namespace Xen.Blkif.IoUring.Queues;

/// <summary>Learns whether it pays to try a request on the spot before it is given to the ring.</summary>
/// <remarks>
/// What comes off is tried again at once. After each that does not, twice as many go straight to the ring as after the last, so that storage
/// with nothing in memory costs one try in a few hundred, and a file that comes to be in memory is noticed within so many.
/// </remarks>
internal struct InlineChance
{
    private const int MostSkipped = 255;

    private int _skips;
    private int _left;

    /// <summary>Whether to try the next request.</summary>
    public bool TakeTurn()
    {
        if (_left == 0)
            return true;
        _left--;
        return false;
    }

    /// <summary>Learns how a try went.</summary>
    public void Learn(bool cameOff)
    {
        _skips = cameOff ? 0 : Math.Min((2 * _skips) + 1, MostSkipped);
        _left = _skips;
    }
}
