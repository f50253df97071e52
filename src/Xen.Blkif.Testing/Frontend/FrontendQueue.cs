using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Rings;

namespace Xen.Blkif.Testing;

/// <summary>A frontend's ring with its event channel and, for each request that can be under way, eleven granted pages.</summary>
/// <remarks>Owned by one thread. Allocates nothing once it is made, so that it can drive benchmarks.</remarks>
public abstract class FrontendQueue : IDisposable
{
    private readonly SimulatedGuest _guest;
    private readonly List<GrantReference> _grants = [];
    private readonly BlkifSegment[] _segments = new BlkifSegment[BlkifLimits.MaxSegments];
    private readonly GrantReference[] _pageGrants;
    private readonly int _ringPage;
    private readonly int _dataPage;
    private readonly int _ringPages;

    private protected FrontendQueue(SimulatedGuest guest, DomainId backend, FrontendOptions options, uint ringSize)
    {
        if (options.Depth < 1 || (uint)options.Depth > ringSize)
            throw new ArgumentOutOfRangeException(nameof(options), options.Depth, $"The depth is from 1 to the {ringSize} slots of the ring.");

        _guest = guest;
        Depth = options.Depth;
        _ringPages = 1 << options.RingPageOrder;
        _ringPage = guest.AllocatePages(_ringPages);
        _dataPage = guest.AllocatePages(Depth * BlkifLimits.MaxSegments);
        RingReferences = Grant(backend, _ringPage, _ringPages);
        _pageGrants = Grant(backend, _dataPage, Depth * BlkifLimits.MaxSegments);
        Channel = guest.AllocateUnbound(backend);
    }

    /// <summary>The bytes that one request can carry: eleven pages.</summary>
    public static int MaxTransfer => BlkifLimits.MaxSegments * XenPage.Size;

    /// <summary>Requests that can be under way at once; slots are numbered from 0 to one less.</summary>
    public int Depth { get; }

    /// <summary>The grants of the ring's pages.</summary>
    public IReadOnlyList<GrantReference> RingReferences { get; }

    /// <summary>The guest's end of the event channel.</summary>
    public SimulatedEventChannel Channel { get; }

    /// <summary>The guest's own address of the ring, for tests that write what no frontend may write.</summary>
    public nint RingAddress => _guest.AddressOf(_ringPage);

    /// <summary>Bytes of the ring.</summary>
    public int RingLength => _ringPages * XenPage.Size;

    /// <summary>Requests that can be put before a response is taken.</summary>
    public abstract uint Free { get; }

    /// <summary>Whether the backend announced more responses than there were requests.</summary>
    public abstract bool IsCorrupt { get; }

    /// <summary>Notifications sent to the backend.</summary>
    public long Notifications { get; private set; }

    /// <summary>Makes an empty ring, its event channel and the pages for its data.</summary>
    /// <param name="guest">The guest.</param>
    /// <param name="backend">The domain that it grants its pages to.</param>
    /// <param name="options">The layout, the ring's order and the depth.</param>
    /// <exception cref="ArgumentOutOfRangeException">The depth is more than the ring has slots.</exception>
    /// <exception cref="HypervisorException">The guest has too little memory or grants.</exception>
    public static FrontendQueue Create(SimulatedGuest guest, DomainId backend, FrontendOptions options) =>
        BlkifProtocols.Resolve(options.Protocol) == BlkifProtocol.X86
            ? new Ring<X86Request, X86Response>(guest, backend, options)
            : new Ring<X64Request, X64Response>(guest, backend, options);

    /// <summary>The data of a slot: eleven pages.</summary>
    /// <param name="slot">0 to <see cref="Depth"/> less one.</param>
    public unsafe Span<byte> Buffer(int slot) => new((void*)_guest.AddressOf(PageOf(slot)), MaxTransfer);

    /// <summary>The grant of one of a slot's pages.</summary>
    /// <param name="slot">0 to <see cref="Depth"/> less one.</param>
    /// <param name="page">0 to 10.</param>
    public GrantReference GrantOf(int slot, int page) => _pageGrants[(slot * BlkifLimits.MaxSegments) + page];

    /// <summary>Puts a read, a write or a flush with data into the ring, between the disk and the start of a slot's buffer.</summary>
    /// <param name="operation">The operation.</param>
    /// <param name="slot">The slot, which becomes the request's id.</param>
    /// <param name="sector">The first sector, in units of 512 bytes.</param>
    /// <param name="length">Bytes, a multiple of 512, at most <see cref="MaxTransfer"/>; 0 for a flush alone.</param>
    /// <exception cref="InvalidOperationException">The ring is full.</exception>
    public void Put(BlkifOperation operation, int slot, ulong sector, int length)
    {
        if (length % BlkifLimits.SectorSize != 0 || (uint)length > (uint)MaxTransfer)
            throw new ArgumentOutOfRangeException(nameof(length), length, $"A request carries whole sectors, at most {MaxTransfer} bytes.");

        int count = 0;
        for (int done = 0; done < length; done += XenPage.Size)
        {
            int sectors = Math.Min(length - done, XenPage.Size) / BlkifLimits.SectorSize;
            _segments[count] = new BlkifSegment(GrantOf(slot, count), 0, (byte)(sectors - 1));
            count++;
        }

        Put(operation, (ulong)slot, sector, _segments.AsSpan(0, count));
    }

    /// <summary>Puts any read, write or flush into the ring, honest or not.</summary>
    /// <param name="operation">The operation, any byte.</param>
    /// <param name="id">The id.</param>
    /// <param name="sector">The first sector, in units of 512 bytes.</param>
    /// <param name="segments">At most 11.</param>
    /// <exception cref="InvalidOperationException">The ring is full.</exception>
    public abstract void Put(BlkifOperation operation, ulong id, ulong sector, ReadOnlySpan<BlkifSegment> segments);

    /// <summary>Puts a discard into the ring.</summary>
    /// <param name="id">The id; a slot, or any number.</param>
    /// <param name="sector">The first sector, in units of 512 bytes.</param>
    /// <param name="sectors">Sectors, in units of 512 bytes.</param>
    /// <param name="flags"><see cref="BlkifLimits.SecureDiscard"/> or 0.</param>
    /// <exception cref="InvalidOperationException">The ring is full.</exception>
    public abstract void PutDiscard(ulong id, ulong sector, ulong sectors, byte flags = 0);

    /// <summary>Shows the backend what was put, and notifies it where it asked for that.</summary>
    public void Push()
    {
        if (!PushRing())
            return;
        Notifications++;
        Channel.Notify();
    }

    /// <summary>Takes a response.</summary>
    /// <param name="completion">The response.</param>
    /// <returns>False where there is none.</returns>
    public abstract bool TryTake(out FrontendCompletion completion);

    /// <summary>Waits until there is a response to take.</summary>
    /// <param name="millisecondsTimeout">How long at most; -1 for no limit.</param>
    /// <returns>False where none came in time.</returns>
    public bool Wait(int millisecondsTimeout = -1)
    {
        while (!FinalCheck())
        {
            if (!Channel.Wait(millisecondsTimeout))
                return FinalCheck();
        }

        return true;
    }

    /// <summary>Takes the grants back and frees the memory. The backend must have closed.</summary>
    /// <exception cref="InvalidOperationException">The backend still has a page mapped.</exception>
    public void Dispose()
    {
        Channel.Dispose();
        foreach (GrantReference grant in _grants)
        {
            if (!_guest.TryRevoke(grant))
                throw new InvalidOperationException($"The backend still maps the page of grant {grant}.");
        }

        _grants.Clear();
        _guest.FreePages(_ringPage, _ringPages);
        _guest.FreePages(_dataPage, Depth * BlkifLimits.MaxSegments);
        GC.SuppressFinalize(this);
    }

    private protected abstract bool PushRing();

    private protected abstract bool FinalCheck();

    private int PageOf(int slot)
    {
        if ((uint)slot >= (uint)Depth)
            throw new ArgumentOutOfRangeException(nameof(slot), slot, $"The queue has {Depth} slots.");
        return _dataPage + (slot * BlkifLimits.MaxSegments);
    }

    private GrantReference[] Grant(DomainId backend, int page, int count)
    {
        var references = new GrantReference[count];
        for (int i = 0; i < count; i++)
            references[i] = _guest.Grant(page + i, backend, writable: true);
        _grants.AddRange(references);
        return references;
    }

    private sealed class Ring<TRequest, TResponse> : FrontendQueue
        where TRequest : unmanaged, IBlkifRequest
        where TResponse : unmanaged, IBlkifResponse
    {
        private readonly FrontRing<TRequest, TResponse> _ring;

        public Ring(SimulatedGuest guest, DomainId backend, FrontendOptions options)
            : base(guest, backend, options, RingSize.Slots<TRequest, TResponse>(options.RingPageOrder))
        {
            _ring = new FrontRing<TRequest, TResponse>(RingAddress, RingLength);
            _ring.Initialise();
        }

        public override uint Free => _ring.Free;

        public override bool IsCorrupt => _ring.IsCorrupt;

        public override void Put(BlkifOperation operation, ulong id, ulong sector, ReadOnlySpan<BlkifSegment> segments)
        {
            TRequest request = default;
            request.SetTransfer(operation, id, sector, segments);
            Put(request);
        }

        public override void PutDiscard(ulong id, ulong sector, ulong sectors, byte flags = 0)
        {
            TRequest request = default;
            request.SetDiscard(id, sector, sectors, flags);
            Put(request);
        }

        public override bool TryTake(out FrontendCompletion completion)
        {
            bool taken = _ring.TryTake(out TResponse response);
            completion = taken ? new FrontendCompletion(response.Id, (BlkifOperation)response.Operation, response.Status) : default;
            return taken;
        }

        private protected override bool PushRing() => _ring.Push();

        private protected override bool FinalCheck() => _ring.FinalCheck() || _ring.IsCorrupt;

        private void Put(in TRequest request)
        {
            if (!_ring.TryPut(request))
                throw new InvalidOperationException("The ring is full: take a response first.");
        }
    }
}
