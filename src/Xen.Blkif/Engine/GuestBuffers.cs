using Xen.Blkif.Hypervisor;
using Xen.Blkif.Memory;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Engine;

/// <summary>
/// The way to the guest's data, by grant copy through a buffer per slot: the only type of the engine that reaches guest memory.
/// Pieces of many requests are gathered and copied with one call to the hypervisor.
/// </summary>
internal sealed unsafe class GuestBuffers : IDisposable
{
    private const int SlotLength = BlkifLimits.MaxSegments * XenPage.Size;
    private const int MaxRetries = 3;

    private readonly IGrantTable _grants;
    private readonly DomainId _domain;
    private readonly NativeBuffer _memory;
    private readonly GrantCopySegment[] _pieces;
    private readonly nint[] _owners;
    private int _count;

    /// <summary>Takes address space for the worst case; pages are used as requests need them.</summary>
    /// <param name="grants">The grant table.</param>
    /// <param name="domain">The guest.</param>
    /// <param name="slots">Requests that can be under way at once.</param>
    public GuestBuffers(IGrantTable grants, DomainId domain, int slots)
    {
        _grants = grants;
        _domain = domain;
        _memory = new NativeBuffer((long)slots * SlotLength);
        _pieces = new GrantCopySegment[slots * BlkifLimits.MaxSegments];
        _owners = new nint[_pieces.Length];
    }

    /// <summary>Gives a slot its buffer.</summary>
    public void Attach(int index, RequestSlot* slot) =>
        slot->Data = new IoVector((nint)(_memory.Start + ((long)index * SlotLength)), (nint)slot->Length);

    /// <summary>Notes that a request's data is to come out of the guest with the next <see cref="Copy"/>.</summary>
    public void GatherFetch(RequestSlot* slot) => Gather(slot, intoGuest: false);

    /// <summary>Notes that a request's data is to go into the guest with the next <see cref="Copy"/>.</summary>
    public void GatherDelivery(RequestSlot* slot) => Gather(slot, intoGuest: true);

    /// <summary>Copies what was noted. A piece that fails fails its request alone.</summary>
    public void Copy()
    {
        if (_count == 0)
            return;

        if (!_grants.Copy(_pieces.AsSpan(0, _count)))
            Settle();
        _count = 0;
    }

    public void Dispose() => _memory.Dispose();

    private void Gather(RequestSlot* slot, bool intoGuest)
    {
        nint local = slot->Data.Address;
        for (int i = 0; i < slot->SegmentCount; i++)
        {
            BlkifSegment segment = slot->Segments[i];
            int offset = segment.FirstSector * BlkifLimits.SectorSize;
            int length = (segment.LastSector + 1 - segment.FirstSector) * BlkifLimits.SectorSize;
            _pieces[_count] = intoGuest
                ? GrantCopySegment.IntoGuest(local, _domain, segment.Reference, offset, length)
                : GrantCopySegment.OutOfGuest(local, _domain, segment.Reference, offset, length);
            _owners[_count] = (nint)slot;
            _count++;
            local += length;
        }
    }

    private void Settle()
    {
        for (int i = 0; i < _count; i++)
        {
            // A page that is paged out comes back: the hypervisor says so and expects to be asked again.
            for (int retry = 0; retry < MaxRetries && _pieces[i].Status == GrantStatus.TryAgain; retry++)
                _grants.Copy(_pieces.AsSpan(i, 1));

            if (_pieces[i].Status != GrantStatus.Okay)
                ((RequestSlot*)_owners[i])->Status = BlkifStatus.Error;
        }
    }
}
