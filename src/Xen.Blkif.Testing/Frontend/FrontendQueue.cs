using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Rings;

namespace Xen.Blkif.Testing;

/// <summary>
/// A frontend's ring with its event channel and, for each request that can be under way, granted pages: eleven for data, or those of an
/// indirect request and one for its segments.
/// </summary>
/// <remarks>Owned by one thread. Allocates nothing once it is made, so that it can drive benchmarks.</remarks>
public abstract class FrontendQueue : IDisposable
{
    private readonly SimulatedGuest _guest;
    private readonly DomainId _backend;
    private readonly BlkifSegment[] _segments;
    private readonly GrantReference[] _ringGrants;
    private readonly GrantReference[] _pageGrants;
    private readonly GrantReference[] _segmentGrants = [];
    private readonly int _ringPage;
    private readonly int _dataPage;
    private readonly int _segmentPage;
    private readonly int _ringPages;

    private protected FrontendQueue(SimulatedGuest guest, DomainId backend, FrontendOptions options, uint ringSize)
    {
        if (options.Depth < 1 || (uint)options.Depth > ringSize)
            throw new ArgumentOutOfRangeException(nameof(options), options.Depth, $"The depth is from 1 to the {ringSize} slots of the ring.");

        _guest = guest;
        _backend = backend;
        Depth = options.Depth;
        MaxSegments = SegmentsOf(options);
        _segments = new BlkifSegment[MaxSegments];
        _ringPages = 1 << options.RingPageOrder;
        _ringPage = guest.AllocatePages(_ringPages);
        _dataPage = guest.AllocatePages(Depth * MaxSegments);
        _ringGrants = Grant(_ringPage, _ringPages);
        _pageGrants = Grant(_dataPage, Depth * MaxSegments);
        if (MaxSegments > BlkifLimits.MaxSegments)
        {
            _segmentPage = guest.AllocatePages(Depth);
            _segmentGrants = Grant(_segmentPage, Depth);
        }

        Channel = guest.AllocateUnbound(backend);
    }

    /// <summary>The pages of data that a read or write can carry: eleven, or more where it may be indirect.</summary>
    public int MaxSegments { get; }

    /// <summary>The bytes that a read or write can carry.</summary>
    public int MaxTransfer => MaxSegments * XenPage.Size;

    /// <summary>Requests that can be under way at once; slots are numbered from 0 to one less.</summary>
    public int Depth { get; }

    /// <summary>The grants of the ring's pages.</summary>
    public IReadOnlyList<GrantReference> RingReferences => _ringGrants;

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

    /// <summary>The guest's memory that a queue takes, in pages; it takes a grant for each.</summary>
    /// <param name="options">The ring's order, the depth and the segments.</param>
    public static int PagesOf(FrontendOptions options)
    {
        int segments = SegmentsOf(options);
        return (1 << options.RingPageOrder) + (options.Depth * (segments > BlkifLimits.MaxSegments ? segments + 1 : segments));
    }

    /// <summary>Makes an empty ring, its event channel and the pages for its data.</summary>
    /// <param name="guest">The guest.</param>
    /// <param name="backend">The domain that it grants its pages to.</param>
    /// <param name="options">The layout, the ring's order, the depth, and the segments, which nobody is asked for here.</param>
    /// <exception cref="ArgumentOutOfRangeException">The depth is more than the ring has slots.</exception>
    /// <exception cref="HypervisorException">The guest has too little memory or grants.</exception>
    public static FrontendQueue Create(SimulatedGuest guest, DomainId backend, FrontendOptions options) =>
        BlkifProtocols.Resolve(options.Protocol) == BlkifProtocol.X86
            ? new Ring<X86Request, X86Response>(guest, backend, options)
            : new Ring<X64Request, X64Response>(guest, backend, options);

    /// <summary>The data of a slot: <see cref="MaxTransfer"/> bytes.</summary>
    /// <param name="slot">0 to <see cref="Depth"/> less one.</param>
    public unsafe Span<byte> Buffer(int slot) => new((void*)_guest.AddressOf(PageOf(slot)), MaxTransfer);

    /// <summary>The grant of one of a slot's pages.</summary>
    /// <param name="slot">0 to <see cref="Depth"/> less one.</param>
    /// <param name="page">0 to <see cref="MaxSegments"/> less one.</param>
    public GrantReference GrantOf(int slot, int page) => _pageGrants[(slot * MaxSegments) + page];

    /// <summary>A slot's page for the segments of an indirect request, of a queue that makes such requests.</summary>
    /// <param name="slot">0 to <see cref="Depth"/> less one.</param>
    public unsafe Span<BlkifSegment> SegmentPage(int slot) =>
        new((void*)_guest.AddressOf(_segmentPage + slot), _segmentGrants.Length > slot ? BlkifLimits.SegmentsPerIndirectPage : 0);

    /// <summary>The grant of that page.</summary>
    /// <param name="slot">0 to <see cref="Depth"/> less one.</param>
    public GrantReference SegmentGrantOf(int slot) => _segmentGrants[slot];

    /// <summary>
    /// Takes the grants of a slot's pages back and grants them anew, as a frontend without persistent grants does with each response.
    /// </summary>
    /// <param name="slot">0 to <see cref="Depth"/> less one, of no request that is under way.</param>
    /// <param name="pages">How many of its pages of data; its page for segments too, where it has one.</param>
    /// <exception cref="InvalidOperationException">The backend still has a page mapped.</exception>
    public void GrantAnew(int slot, int pages)
    {
        int first = PageOf(slot) - _dataPage;
        for (int i = first; i < first + pages; i++)
            GrantAnew(ref _pageGrants[i], _dataPage + i);
        if (_segmentGrants.Length > 0)
            GrantAnew(ref _segmentGrants[slot], _segmentPage + slot);
    }

    /// <summary>
    /// Puts a read, a write or a flush with data into the ring, between the disk and the start of a slot's buffer. Of more than eleven pages,
    /// it is an indirect request.
    /// </summary>
    /// <param name="operation">The operation.</param>
    /// <param name="slot">The slot, which becomes the request's id.</param>
    /// <param name="sector">The first sector, in units of 512 bytes.</param>
    /// <param name="length">
    /// Bytes, a multiple of 512, at most <see cref="MaxTransfer"/>, of a flush at most eleven pages; 0 for a flush alone.
    /// </param>
    /// <exception cref="InvalidOperationException">The ring is full.</exception>
    public void Put(BlkifOperation operation, int slot, ulong sector, int length)
    {
        int most = operation is BlkifOperation.Read or BlkifOperation.Write ? MaxTransfer : BlkifLimits.MaxSegments * XenPage.Size;
        if (length % BlkifLimits.SectorSize != 0 || (uint)length > (uint)most)
            throw new ArgumentOutOfRangeException(nameof(length), length, $"This request carries whole sectors, at most {most} bytes.");

        int count = 0;
        for (int done = 0; done < length; done += XenPage.Size)
        {
            int sectors = Math.Min(length - done, XenPage.Size) / BlkifLimits.SectorSize;
            _segments[count] = new BlkifSegment(GrantOf(slot, count), 0, (byte)(sectors - 1));
            count++;
        }

        if (count > BlkifLimits.MaxSegments)
            PutIndirect(operation, slot, sector, _segments.AsSpan(0, count));
        else
            Put(operation, (ulong)slot, sector, _segments.AsSpan(0, count));
    }

    /// <summary>Puts any read, write or flush into the ring, honest or not.</summary>
    /// <param name="operation">The operation, any byte.</param>
    /// <param name="id">The id.</param>
    /// <param name="sector">The first sector, in units of 512 bytes.</param>
    /// <param name="segments">At most 11.</param>
    /// <exception cref="InvalidOperationException">The ring is full.</exception>
    public abstract void Put(BlkifOperation operation, ulong id, ulong sector, ReadOnlySpan<BlkifSegment> segments);

    /// <summary>Puts an indirect request into the ring, honest or not, with its segments in the page that a slot has for them.</summary>
    /// <param name="operation">What it means, any byte.</param>
    /// <param name="slot">The slot, which becomes the request's id.</param>
    /// <param name="sector">The first sector, in units of 512 bytes.</param>
    /// <param name="segments">At most 512.</param>
    /// <exception cref="InvalidOperationException">The ring is full.</exception>
    public void PutIndirect(BlkifOperation operation, int slot, ulong sector, ReadOnlySpan<BlkifSegment> segments)
    {
        segments.CopyTo(SegmentPage(slot));
        PutIndirect(operation, (ulong)slot, sector, (ushort)segments.Length, SegmentGrantOf(slot));
    }

    /// <summary>Puts any indirect request into the ring, honest or not.</summary>
    /// <param name="operation">What it means, any byte.</param>
    /// <param name="id">The id.</param>
    /// <param name="sector">The first sector, in units of 512 bytes.</param>
    /// <param name="segmentCount">Segments that it says it has.</param>
    /// <param name="page">The grant of the page that it says they are in.</param>
    /// <exception cref="InvalidOperationException">The ring is full.</exception>
    public abstract void PutIndirect(BlkifOperation operation, ulong id, ulong sector, ushort segmentCount, GrantReference page);

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
        foreach (GrantReference[] grants in new[] { _ringGrants, _pageGrants, _segmentGrants })
        {
            foreach (GrantReference grant in grants)
                Revoke(grant);
        }

        _guest.FreePages(_ringPage, _ringPages);
        _guest.FreePages(_dataPage, Depth * MaxSegments);
        if (_segmentGrants.Length > 0)
            _guest.FreePages(_segmentPage, Depth);
        GC.SuppressFinalize(this);
    }

    private protected abstract bool PushRing();

    private protected abstract bool FinalCheck();

    private int PageOf(int slot)
    {
        if ((uint)slot >= (uint)Depth)
            throw new ArgumentOutOfRangeException(nameof(slot), slot, $"The queue has {Depth} slots.");
        return _dataPage + (slot * MaxSegments);
    }

    private static int SegmentsOf(FrontendOptions options) => Math.Max(options.MaxIndirectSegments, BlkifLimits.MaxSegments);

    private GrantReference[] Grant(int page, int count)
    {
        var references = new GrantReference[count];
        for (int i = 0; i < count; i++)
            references[i] = _guest.Grant(page + i, _backend, writable: true);
        return references;
    }

    // The new one first: the backend gets to see another reference, not this one again.
    private void GrantAnew(ref GrantReference grant, int page)
    {
        GrantReference fresh = _guest.Grant(page, _backend, writable: true);
        if (!_guest.TryRevoke(grant))
        {
            Revoke(fresh);
            throw new InvalidOperationException($"The backend still maps the page of grant {grant}.");
        }

        grant = fresh;
    }

    private void Revoke(GrantReference grant)
    {
        if (!_guest.TryRevoke(grant))
            throw new InvalidOperationException($"The backend still maps the page of grant {grant}.");
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

        public override void PutIndirect(BlkifOperation operation, ulong id, ulong sector, ushort segmentCount, GrantReference page)
        {
            TRequest request = default;
            request.SetIndirect(operation, id, sector, segmentCount, page);
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
