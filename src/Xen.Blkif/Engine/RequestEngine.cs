using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Engine;

/// <summary>Serves the requests of one ring: takes them, checks them, moves their data, has the target do them, answers them.</summary>
/// <remarks>
/// Owned by one thread, which calls <see cref="RunPass"/>, then <see cref="PrepareToSleep"/>, and, if that says so, waits on the event channel
/// for <see cref="MaxSleepMilliseconds"/> before it begins again. Allocates nothing and takes no lock after its making. Disposed by the same thread, or after it has ended,
/// when <see cref="InFlight"/> is 0.
/// </remarks>
public abstract class RequestEngine : IDisposable
{
    private protected RequestEngine(EngineSettings settings)
    {
        Limits = settings.Limits;
        MaxPollTicks = settings.MaxPollTicks;
    }

    /// <summary>What the engine did so far. Any thread may read it.</summary>
    public QueueStatistics Statistics { get; } = new();

    /// <summary>What the disk allows. Any thread may set it; requests taken later are checked against it.</summary>
    public RequestLimits Limits
    {
        // Release and acquire: the object's content is visible before the reference to it.
        get => Volatile.Read(ref _limits);
        set => Volatile.Write(ref _limits, value);
    }

    /// <summary>Whether the engine takes no further requests, and only brings to an end what is under way. Any thread may set it.</summary>
    public bool IsDraining
    {
        get => _draining;
        set => _draining = value;
    }

    /// <summary>Requests taken and not yet answered.</summary>
    public abstract int InFlight { get; }

    /// <summary>Whether the frontend's indices were impossible: no request is taken any more, what was under way is still answered.</summary>
    public abstract bool IsCorrupt { get; }

    /// <summary>How long to wait before the next <see cref="RunPass"/> at most, in milliseconds; -1 for no limit. To be asked when going to sleep.</summary>
    public abstract int MaxSleepMilliseconds { get; }

    /// <summary>Whether a flush failed for good: it is never answered, no request is taken any more, what was under way is still answered.</summary>
    public abstract bool HasLostFlush { get; }

    private RequestLimits _limits = null!;
    private volatile bool _draining;

    /// <summary>Makes the engine for a ring in the layout that its frontend speaks.</summary>
    /// <param name="settings">What it works with.</param>
    /// <exception cref="ArgumentException">The ring's memory is not that of a ring.</exception>
    public static RequestEngine Create(EngineSettings settings) => BlkifProtocols.Resolve(settings.Protocol) == BlkifProtocol.X86
        ? new RequestEngine<X86Request, X86Response>(settings)
        : new RequestEngine<X64Request, X64Response>(settings);

    /// <summary>Collects results, takes requests, starts them, answers what is done.</summary>
    /// <returns>Whether anything was done.</returns>
    public abstract bool RunPass();

    /// <summary>Asks for an event with the next request or result, then looks once more.</summary>
    /// <returns>False where there is something to do already: do not wait.</returns>
    public abstract bool PrepareToSleep();

    /// <summary>How long its owner may look for work before it sleeps, in ticks of the clock.</summary>
    internal long MaxPollTicks { get; }

    /// <summary>
    /// Whether its owner may look for work now. With more than one request under way, results come so often, and together, that a sleep between them
    /// costs less than looking.
    /// </summary>
    internal bool MayBePolled => MaxPollTicks > 0 && InFlight <= 1 && !IsHeldUp;

    /// <summary>Whether it waits for what only a wake-up or a pass at the right time brings: another queue, or the next try of a flush.</summary>
    private protected abstract bool IsHeldUp { get; }

    /// <summary>Whether its owner looks for work for a while before it sleeps, so that events are not to be asked for before.</summary>
    internal bool IsPolled { get; set; }

    /// <summary>The time: what the last pass has read, if it did anything; else read now.</summary>
    internal abstract long TimeOfLastPass { get; }

    /// <summary>Tells the next pass the time, which its owner has read a moment ago.</summary>
    internal abstract void NoteTime(long now);

    /// <summary>Whether there is anything for <see cref="RunPass"/> to do. Cheap enough to be asked again and again.</summary>
    internal abstract bool HasWork { get; }

    /// <summary>What to wait in, in place of the event channel; null where that is what to wait on.</summary>
    internal abstract IWaitableQueue? Waitable { get; }

    /// <summary>Has no other queue of the device wait for this one any more. For an engine whose thread has ended with requests under way.</summary>
    internal abstract void LeaveDevice();

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Gives the engine's memory and the target's queue back.</summary>
    /// <param name="disposing">Always true: there is no finalizer.</param>
    protected abstract void Dispose(bool disposing);
}
