using System.Runtime.CompilerServices;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Rings;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Engine;

/// <summary>The engine, in code of its own for each layout.</summary>
/// <remarks>
/// A pass goes through the stages in the order in which <c>Pass</c> names them. Those that take requests are in
/// <c>RequestEngine.Taking.cs</c>, and in <c>.Inheriting.cs</c> what a predecessor took; those that have the target do them in
/// <c>.Running.cs</c>, those that answer them in <c>.Answering.cs</c>; flushes that failed are in
/// <c>.Flushes.cs</c>, barriers in <c>.Barriers.cs</c>.
/// </remarks>
internal sealed unsafe partial class RequestEngine<TRequest, TResponse> : RequestEngine
    where TRequest : unmanaged, IBlkifRequest
    where TResponse : unmanaged, IBlkifResponse
{
    // With fewer requests under way than this, the storage may be waiting for us: what comes is started at once. Measured with 32 and 64 of 4 KiB:
    // 5 and 8 save a fifth of the processor beside starting all one by one, 16 saves a tenth, and 3 loses a tenth of the requests per second.
    private const int PlugThreshold = 8;

    private readonly BackRing<TRequest, TResponse> _ring;
    private readonly RequestPool<TRequest> _pool;
    private readonly GuestBuffers _guest;
    private readonly CompletionInbox _inbox;
    private readonly IBlockQueue _target;
    private readonly IWaitableQueue? _waitable;

    // Every request is done when the target has been given it: there is no result to wait for, and none to guard against.
    private readonly bool _isInline;
    private readonly IEventChannel _channel;
    private readonly EngineLog _log;
    private readonly Func<long> _clock;
    private readonly RingJournal? _journal;
    private readonly DiscardUnits _discardUnits;
    private readonly long _maxDiscard;

    // The requests of this pass: taken and to be started; done and to be answered.
    private SlotList _taken;
    private SlotList _finished;

    // Why no request is taken from the ring, if there is any reason.
    private Obstacles _obstacles;

    // The segments of some of the requests taken are yet to be brought out of the guest.
    private bool _awaitsSegments;

    // Events and wake-ups were asked for, and the fence after that is passed; and whether events were, for there is room for requests.
    private bool _isToBeWoken;
    private bool _asksForEvents;

    // When requests were last taken or answered; 0 where it was used since, or a pass without either came after that.
    private long _time;

    // When this pass began, where that need not be asked, for it follows one that answered requests, or the owner has said; else 0.
    private long _noted;

    // Requests that a predecessor took and did not answer, until the first pass has begun them anew.
    private int[] _inherited = [];

    public RequestEngine(EngineSettings settings)
        : base(settings)
    {
        settings.Target.Info.Validate();
        _ring = new BackRing<TRequest, TResponse>(settings.RingAddress, settings.RingLength);
        int slots = settings.MaxRequests > 0 ? Math.Min(settings.MaxRequests, (int)_ring.Size) : (int)_ring.Size;
        _journal = settings.Journal;
        if (_journal is not null)
            slots = Inherit(_journal, slots);
        _pool = new RequestPool<TRequest>(slots, lists: 2);
        _taken = _pool.List(0);
        _finished = _pool.List(1);
        foreach (int index in _inherited)
            _pool.RentAt(index);
        int indirect = settings.MaxIndirectRequests > 0 ? Math.Min(settings.MaxIndirectRequests, slots) : slots;
        _channel = settings.Channel;
        _inbox = new CompletionInbox(slots, _channel);
        _waitable = settings.WaitsInTarget && settings.Target is IWaitableTarget target && _channel is IEventDescriptors events
            ? target.OpenQueue(slots, _inbox, events)
            : null;
        _target = _waitable ?? settings.Target.OpenQueue(slots, _inbox);
        _isInline = _target is InlineQueue;
        _discardUnits = new DiscardUnits(settings.Target.Info.DiscardGranularity, settings.Target.Info.DiscardAlignment);
        _maxDiscard = _discardUnits.WholeUnits(settings.Target.Info.MaxDiscardLength);
        _log = settings.Log ?? new EngineLog(settings.Logger, settings.DeviceName);
        _clock = settings.Clock;
        _guest = new GuestBuffers(settings, _log, slots, indirect);
        _flushFailure = settings.FlushFailure;
        _heldFlushes = new RequestSlot*[slots];
        _gate = settings.Barriers?.Join(_channel.Wake);
    }

    /// <inheritdoc/>
    public override int InFlight => _pool.Rented;

    /// <inheritdoc/>
    public override bool IsCorrupt => _ring.IsCorrupt;

    /// <inheritdoc/>
    public override int MaxSleepMilliseconds => (int)Math.Min((uint)_guest.MaxSleepMilliseconds(InFlight == 0), (uint)MillisecondsUntilRetry);

    private bool CanTake => _obstacles == Obstacles.None && !_pool.IsExhausted;

    // The gate, the other queues and the clock do not show in the ring: who looks at that alone would miss them.
    private protected override bool IsHeldUp => (_obstacles & (Obstacles.Gate | Obstacles.BarrierWaits)) != Obstacles.None || _heldCount > 0;

    /// <inheritdoc/>
    internal override bool HasWork =>
        IsDraining || (CanTake && !IsCorrupt && _ring.HasRequests()) || _inbox.HasResults || _waitable is { HasResults: true };

    /// <inheritdoc/>
    internal override IWaitableQueue? Waitable => _waitable;

    /// <inheritdoc/>
    internal override long TimeOfLastPass => _time != 0 ? _time : _clock();

    /// <inheritdoc/>
    internal override void NoteTime(long now) => _noted = now;

    /// <inheritdoc/>
    public override bool RunPass()
    {
        // First of all: with the results, the queue takes the signals that tell of everything that is looked at below.
        _inbox.WakeUp();
        _isToBeWoken = false;
        _waitable?.Reap();
        EnterGate();
        bool done = Pass();
        LeaveGate();
        return done;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool Pass()
    {
        _taken.Clear();
        _finished.Clear();

        Reap();
        RetryFlushes();
        Take(Limits);
        if (_taken.Count > 0)
        {
            _guest.Copy();
            Start();
            Reap();
        }

        StartBarrier();
        if (_taken.Count == 0 && _finished.Count == 0)
        {
            Tidy();
            return false;
        }

        Statistics.Passes++;
        _guest.Copy();
        Respond();
        return true;
    }

    /// <inheritdoc/>
    public override bool PrepareToSleep()
    {
        if (!_isToBeWoken)
        {
            if (!AskToBeWoken())
                return false;

            // Full fence: publish req_event, and that the owner sleeps, before looking at req_prod and for results once more. Pairs with the
            // fence in the frontend's push and the exchange in CompletionInbox.Complete, so that either they see that somebody is to be
            // woken, or this sees what they have left.
            Interlocked.MemoryBarrier();
        }

        _isToBeWoken = false;
        if ((_asksForEvents && _ring.HasRequests()) || _inbox.HasResults)
        {
            _inbox.WakeUp();
            return false;
        }

        Tidy();
        return true;
    }

    /// <summary>Asks for an event with the next request and for a wake-up with the next result. A full fence and another look have to come after it.</summary>
    /// <returns>False where there are requests to take already, and nothing is to be waited for.</returns>
    private bool AskToBeWoken()
    {
        // Without room no request can be taken, however many there are: the next result wakes the queue, and then it takes more.
        // So does what ends a barrier. A ring that yields nothing any more is not asked either.
        _asksForEvents = !IsDraining && CanTake && !IsCorrupt;
        if (_asksForEvents && _ring.AskForEvent())
            return false;
        _inbox.FallAsleep();
        return true;
    }

    // What was the time a moment ago, if there was something to do then, will do.
    private void Tidy()
    {
        _guest.Tidy(TimeOfLastPass, InFlight == 0);
        _time = _noted = 0;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _gate?.Leave();
        try
        {
            _target.Dispose();
        }
        finally
        {
            // A target that cannot even close has nothing under way, and must not keep the guest's pages.
            _guest.Dispose();
            _pool.Dispose();
        }
    }

    [Flags]
    private enum Obstacles : byte
    {
        None = 0,

        // The next request in the ring is an indirect one that there is no room for. It was put back there, and all behind it wait, until a request
        // is answered: what it lacks is with another one under way, always. Where others have the rest of the budget, each answer is a chance
        // to ask again.
        Room = 1,

        // A barrier was taken, and is not done.
        Barrier = 2,

        // Another queue's barrier has closed the gate.
        Gate = 4,

        // A flush failed for good.
        LostFlush = 8,

        // That barrier is not begun either: it waits for what came before it.
        BarrierWaits = 16,
    }
}
