using System.Runtime.CompilerServices;

namespace Xen.Blkif.Rings;

/// <summary>The frontend's end of a shared ring: puts requests, takes responses. The other half of <see cref="BackRing{TRequest,TResponse}"/>.</summary>
/// <typeparam name="TRequest">The request as it lies in the ring.</typeparam>
/// <typeparam name="TResponse">The response as it lies in the ring.</typeparam>
/// <remarks>Owned by one thread. Source of the rules: Xen's <c>public/io/ring.h</c>.</remarks>
public sealed class FrontRing<TRequest, TResponse>
    where TRequest : unmanaged
    where TResponse : unmanaged
{
    private readonly SharedRing<TRequest, TResponse> _shared;
    private uint _requestProducer;   // req_prod_pvt: requests put, of which the backend sees those before _pushed
    private uint _pushed;
    private uint _responseConsumer;  // rsp_cons: responses taken

    /// <summary>Looks at a ring as its frontend.</summary>
    /// <param name="address">The first byte of the ring's memory, page-aligned and mapped writable for as long as the ring is used.</param>
    /// <param name="length">Bytes: 4096 shifted by the page order, 0 to 4.</param>
    /// <param name="index">Where both indices start: 0 for a ring that <see cref="Initialise"/> is going to empty.</param>
    /// <exception cref="ArgumentException">The memory is not aligned or not of a ring's size.</exception>
    public FrontRing(nint address, int length, uint index = 0)
    {
        _shared = new SharedRing<TRequest, TResponse>(address, length);
        Size = _shared.Slots;
        _requestProducer = _pushed = _responseConsumer = index;
    }

    /// <summary>Slots, a power of two: so many requests can be unanswered at once.</summary>
    public uint Size { get; }

    /// <summary>Requests that can be put before a response must be taken.</summary>
    public uint Free => Size - (_requestProducer - _responseConsumer);

    /// <summary>Whether the backend announced more responses than there were requests. Such a ring yields no response ever again.</summary>
    public bool IsCorrupt { get; private set; }

    /// <summary>Makes an empty ring of the memory (<c>SHARED_RING_INIT</c>), before it is shared.</summary>
    public void Initialise() => _shared.Initialise();

    /// <summary>Puts a request into the ring, where the backend does not see it before <see cref="Push"/>.</summary>
    /// <param name="request">The request.</param>
    /// <returns>False where the ring is full.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryPut(in TRequest request)
    {
        if (Free == 0)
            return false;

        _shared.WriteSlot(_requestProducer, request);
        _requestProducer++;
        return true;
    }

    /// <summary>Shows the backend the requests put so far.</summary>
    /// <returns>Whether the backend asked to be notified of one of them.</returns>
    public bool Push()
    {
        uint before = _pushed;
        _pushed = _requestProducer;
        _shared.PublishRequestProducer(_pushed);

        // Full fence: publish req_prod before reading req_event. Pairs with the fence in the backend's final check.
        Interlocked.MemoryBarrier();
        return _pushed - _shared.ReadRequestEvent() < _pushed - before;
    }

    /// <summary>Takes the next response.</summary>
    /// <param name="response">A private copy of it; undefined where there is none.</param>
    /// <returns>False where there is none, or the ring is corrupt.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryTake(out TResponse response)
    {
        if (!MoreAnnounced())
        {
            Unsafe.SkipInit(out response);
            return false;
        }

        _shared.CopySlotTo(_responseConsumer, out response);
        _responseConsumer++;
        return true;
    }

    /// <summary>Asks for a notification of the next response, then looks once more whether there is one. To be called before going to sleep.</summary>
    /// <returns>Whether there are responses to take, or this call found the ring corrupt: do not sleep. False on a ring known to be corrupt.</returns>
    public bool FinalCheck()
    {
        if (IsCorrupt)
            return false;
        if (HasResponses())
            return true;

        _shared.WriteResponseEvent(_responseConsumer + 1);

        // Full fence: publish rsp_event before reading rsp_prod. Pairs with the fence in the backend's push.
        Interlocked.MemoryBarrier();
        return HasResponses();
    }

    // A ring found corrupt by the look counts too: the caller has to act on it.
    private bool HasResponses() => MoreAnnounced() || IsCorrupt;

    private bool MoreAnnounced()
    {
        if (IsCorrupt)
            return false;

        uint producer = _shared.ReadResponseProducer();
        uint available = producer - _responseConsumer;

        // No more than the requests that the backend has seen can have been answered.
        if (available > _pushed - _responseConsumer)
        {
            IsCorrupt = true;
            return false;
        }

        return available != 0;
    }
}
