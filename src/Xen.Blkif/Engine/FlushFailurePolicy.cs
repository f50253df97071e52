namespace Xen.Blkif.Engine;

/// <summary>What becomes of a flush that the storage fails.</summary>
/// <remarks>
/// Linux's blkfront takes one failed flush for a disk that cannot flush: it never asks again, and tells its file systems that all went well.
/// So the guest had better not hear of it before it is certain, and then lose the disk rather than the truth. Immutable.
/// </remarks>
public sealed record FlushFailurePolicy
{
    private static readonly TimeSpan LongestPause = TimeSpan.FromHours(1);

    /// <summary>The guest is told at once, for guests that take it for what it is.</summary>
    public static FlushFailurePolicy Report { get; } = new() { Retries = 0, TellsGuest = true };

    /// <summary>The guest waits until the storage can flush again, for as long as that takes.</summary>
    public static FlushFailurePolicy Hold { get; } = new() { Retries = Timeout.Infinite };

    /// <summary>How often it is tried again; <see cref="Timeout.Infinite"/> (-1) for until it is done. Other requests go on meanwhile.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is less than -1.</exception>
    public int Retries
    {
        get;
        init => field = value >= Timeout.Infinite ? value : throw new ArgumentOutOfRangeException(
            nameof(value), value, "A flush is tried again a number of times, or, with -1, until it is done.");
    } = 3;

    /// <summary>How long before each time: up to an hour.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative, or longer.</exception>
    public TimeSpan Pause
    {
        get;
        init => field = value >= TimeSpan.Zero && value <= LongestPause ? value : throw new ArgumentOutOfRangeException(
            nameof(value), value, "A flush is tried again after a pause of up to an hour.");
    } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Whether the guest is told in the end, by an error. Otherwise the flush is never answered, and no further request is taken: the device
    /// is closed, with the reason in xenstore.
    /// </summary>
    public bool TellsGuest { get; init; }

    /// <summary>Whether it is to be tried once more.</summary>
    internal bool AllowsRetry(int tried) => Retries == Timeout.Infinite || tried < Retries;
}
