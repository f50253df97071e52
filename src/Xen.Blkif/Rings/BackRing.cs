using System.Runtime.CompilerServices;

namespace Xen.Blkif.Rings;

/// <summary>The backend's end of a shared ring: takes requests, answers with responses.</summary>
/// <typeparam name="TRequest">The request as it lies in the ring.</typeparam>
/// <typeparam name="TResponse">The response as it lies in the ring.</typeparam>
/// <remarks>
/// Owned by one thread. The frontend is hostile: it may write any byte of the ring at any time. Requests come out as copies, and indices
/// that no frontend can have reached honestly stop the ring for good (<see cref="IsCorrupt"/>): nothing throws, nothing spins.
/// Source of the rules: Xen's <c>public/io/ring.h</c>.
/// </remarks>
public sealed class BackRing<TRequest, TResponse>
    where TRequest : unmanaged
    where TResponse : unmanaged
{
    private readonly SharedRing<TRequest, TResponse> _shared;
    private uint _announced;         // the last req_prod that was read and found possible
    private uint _requestConsumer;   // req_cons: requests taken
    private uint _responseProducer;  // rsp_prod_pvt: responses put, of which the frontend sees those before _pushed
    private uint _pushed;

    /// <summary>Attaches to a ring where its last backend left off, which for a new ring is at its start.</summary>
    /// <param name="address">The first byte of the ring's memory, page-aligned and mapped writable for as long as the ring is used.</param>
    /// <param name="length">Bytes: 4096 shifted by the page order, 0 to 4.</param>
    /// <remarks>
    /// A ring may be older than this process. Starting it at 0 would serve slots that were answered long ago, and that hold responses by now.
    /// </remarks>
    /// <exception cref="ArgumentException">The memory is not aligned or not of a ring's size.</exception>
    public BackRing(nint address, int length)
        : this(new SharedRing<TRequest, TResponse>(address, length), index: null)
    {
    }

    /// <summary>Attaches to a ring at an index that the caller knows.</summary>
    /// <param name="address">The first byte of the ring's memory, page-aligned and mapped writable for as long as the ring is used.</param>
    /// <param name="length">Bytes: 4096 shifted by the page order, 0 to 4.</param>
    /// <param name="index">Where both indices start: the first request that has no response.</param>
    /// <exception cref="ArgumentException">The memory is not aligned or not of a ring's size.</exception>
    public BackRing(nint address, int length, uint index)
        : this(new SharedRing<TRequest, TResponse>(address, length), index)
    {
    }

    private BackRing(SharedRing<TRequest, TResponse> shared, uint? index)
    {
        _shared = shared;
        Size = shared.Slots;
        _announced = _requestConsumer = _responseProducer = _pushed = index ?? shared.ReadResponseProducer();
    }

    /// <summary>Slots, a power of two: so many requests can be unanswered at once.</summary>
    public uint Size { get; }

    /// <summary>Requests taken and not yet answered.</summary>
    public uint Unanswered => _requestConsumer - _responseProducer;

    /// <summary>The index that the next response gets.</summary>
    internal uint NextResponse => _responseProducer;

    /// <summary>Whether the frontend announced more requests than there can be, or took some back. Such a ring yields no request ever again.</summary>
    public bool IsCorrupt { get; private set; }

    /// <summary>Counts requests as taken that a predecessor took from this ring and did not answer. To be called before any is taken here.</summary>
    internal void Inherit(uint unanswered) => _announced = _requestConsumer += unanswered;

    /// <summary>Takes the next request.</summary>
    /// <param name="request">A private copy of it; undefined where there is none.</param>
    /// <returns>False where there is none, or the ring is corrupt.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryTake(out TRequest request)
    {
        if (!Look())
        {
            Unsafe.SkipInit(out request);
            return false;
        }

        TakeAnnounced(out request);
        return true;
    }

    /// <summary>Whether there are requests that were found announced, without another look.</summary>
    internal bool HasAnnounced => _requestConsumer != _announced;

    /// <summary>Finds out whether there are requests to take.</summary>
    // The shared index is read once for all the requests that it announces: it lives in a cache line that the frontend writes.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool Look() => HasAnnounced || HasMoreAnnounced();

    /// <summary>Takes the next request, where <see cref="HasAnnounced"/> says that there is one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void TakeAnnounced(out TRequest request)
    {
        _shared.CopySlotTo(_requestConsumer, out request);
        _requestConsumer++;
    }

    /// <summary>Leaves the request that was taken last in the ring after all: it is the next one, and whoever takes it gets a copy made then.</summary>
    /// <remarks>To be called right after it was taken. No response can have taken its place, for it has none, and those before it have theirs.</remarks>
    internal void PutBack()
    {
        System.Diagnostics.Debug.Assert(Unanswered > 0, "What is put back was taken.");
        _requestConsumer--;
    }

    /// <summary>Puts the response to a request into the ring, where the frontend does not see it before <see cref="Push"/>.</summary>
    /// <param name="response">The response; every byte of it reaches the guest, padding included.</param>
    /// <remarks>One for every request taken, in any order.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Put(in TResponse response)
    {
        System.Diagnostics.Debug.Assert(Unanswered > 0, "A response needs a request that was taken.");
        _shared.WriteSlot(_responseProducer, response);
        _responseProducer++;
    }

    /// <summary>Puts a response that is written where it lies: every byte of it, and nothing of it is read there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal ref TResponse Put()
    {
        System.Diagnostics.Debug.Assert(Unanswered > 0, "A response needs a request that was taken.");
        return ref _shared.SlotToWrite<TResponse>(_responseProducer++);
    }

    /// <summary>Shows the frontend the responses put so far.</summary>
    /// <returns>Whether the frontend asked to be notified of one of them.</returns>
    public bool Push()
    {
        uint before = Publish();

        // Full fence: publish rsp_prod before reading rsp_event. Pairs with the fence in the frontend's final check, so that
        // either it sees these responses or this sees that it wants an event; without it both could go to sleep.
        Interlocked.MemoryBarrier();
        return IsAwaited(before);
    }

    /// <summary>Shows the responses put so far. A full fence and <see cref="IsAwaited"/> have to come after it.</summary>
    /// <returns>The index before which they were shown already.</returns>
    internal uint Publish()
    {
        uint before = _pushed;
        _pushed = _responseProducer;
        _shared.PublishResponseProducer(_pushed);
        return before;
    }

    /// <summary>Whether the frontend asked to be notified of a response that was shown since an index.</summary>
    internal bool IsAwaited(uint before) => _pushed - _shared.ReadResponseEvent() < _pushed - before;

    /// <summary>Asks for a notification of the next request, then looks once more whether there is one. To be called before going to sleep.</summary>
    /// <returns>Whether there are requests to take, or this call found the ring corrupt: do not sleep. False on a ring known to be corrupt.</returns>
    public bool FinalCheck()
    {
        if (AskForEvent())
            return true;
        if (IsCorrupt)
            return false;

        // Full fence: publish req_event before reading req_prod. Pairs with the fence in the frontend's push, so that either
        // it sees that an event is wanted or this sees its request; without it both could go to sleep.
        Interlocked.MemoryBarrier();
        return HasRequests();
    }

    /// <summary>Asks for a notification of the next request. A full fence and a look at <see cref="HasRequests"/> have to come after it.</summary>
    /// <returns>Whether there are requests to take already, or this call found the ring corrupt. False on a ring known to be corrupt.</returns>
    internal bool AskForEvent()
    {
        if (IsCorrupt)
            return false;
        if (HasRequests())
            return true;

        _shared.WriteRequestEvent(_requestConsumer + 1);
        return false;
    }

    /// <summary>Whether there are requests to take, or the ring is corrupt, which a caller that did not know has to act on.</summary>
    internal bool HasRequests() => Look() || IsCorrupt;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool HasMoreAnnounced()
    {
        uint producer = _shared.ReadRequestProducer();
        return producer != _requestConsumer && TryAnnounce(producer);
    }

    private bool TryAnnounce(uint producer)
    {
        if (IsCorrupt)
            return false;

        // Between req_cons and the end of the ring there is room for just so many more. Beyond it, the frontend has overwritten slots that
        // are in use; behind req_cons, it has taken back what was announced. Going on would serve stale slots as if they were requests.
        if (producer - _requestConsumer > Size - Unanswered)
        {
            IsCorrupt = true;
            return false;
        }

        _announced = producer;
        return true;
    }
}
