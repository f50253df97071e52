using Xen.Blkif.Hypervisor;
using Xen.Blkif.Memory;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Engine;

/// <summary>
/// The way to what a guest keeps outside its ring, by grant copy: its data, and the segments of indirect requests. The only type of the
/// engine that reaches guest memory. Every slot has a buffer for eleven pages of data; an indirect request rents a larger one.
/// </summary>
internal sealed unsafe class GuestBuffers : IDisposable
{
    private const int SlotLength = BlkifLimits.MaxSegments * XenPage.Size;

    // A page of segments, then the data.
    private const int IndirectLength = XenPage.Size + (RequestLimits.IndirectSegmentsCeiling * XenPage.Size);

    private readonly DomainId _domain;
    private readonly GrantCopyBatch _batch;
    private readonly NativeBuffer _memory;
    private readonly BufferPool _indirect;

    /// <summary>Takes address space for the worst case of requests without indirect segments; pages are used as requests need them.</summary>
    /// <param name="settings">The grant table, the guest, and what makes memory.</param>
    /// <param name="slots">Requests that can be under way at once.</param>
    /// <param name="indirect">Indirect ones that can be, at least 1.</param>
    public GuestBuffers(EngineSettings settings, int slots, int indirect)
    {
        Func<long, NativeBuffer> make = settings.MakeBuffer;
        _domain = settings.Domain;
        _batch = new GrantCopyBatch(settings.Grants);
        _memory = make((long)slots * SlotLength);
        _indirect = new BufferPool(() => make(IndirectLength), indirect);
    }

    /// <summary>Whether there is no room for the data of one more request, should it be indirect.</summary>
    public bool IsExhausted => _indirect.IsExhausted;

    /// <summary>Gives a slot room for an indirect request, and notes that its segments are to come out of the guest with the next <see cref="Copy"/>.</summary>
    /// <param name="slot">The slot; its number of segments is known.</param>
    /// <param name="page">The guest's page that holds them.</param>
    /// <returns>False where there is no memory for it; then nothing is noted.</returns>
    // Only so many bytes as there are segments, and only once: what the guest does to the page afterwards changes nothing.
    public bool TryGatherSegments(RequestSlot* slot, GrantReference page)
    {
        slot->Rented = _indirect.TryRent();
        if (slot->Rented == null)
            return false;

        slot->Segments = (BlkifSegment*)slot->Rented;
        _batch.Add(slot, GrantCopySegment.OutOfGuest((nint)slot->Rented, _domain, page, 0, slot->SegmentCount * sizeof(BlkifSegment)));
        return true;
    }

    /// <summary>Gives a slot its buffer for data.</summary>
    public void Attach(int index, RequestSlot* slot)
    {
        byte* start = slot->Rented == null ? _memory.Start + ((long)index * SlotLength) : slot->Rented + XenPage.Size;
        slot->Data = new IoVector((nint)start, (nint)slot->Length);
    }

    /// <summary>Takes back what a slot has rented.</summary>
    public void Release(RequestSlot* slot)
    {
        if (slot->Rented == null)
            return;
        _indirect.Return(slot->Rented);
        slot->Rented = null;
    }

    /// <summary>Notes that a request's data is to come out of the guest with the next <see cref="Copy"/>.</summary>
    public void GatherFetch(RequestSlot* slot) => Gather(slot, intoGuest: false);

    /// <summary>Notes that a request's data is to go into the guest with the next <see cref="Copy"/>.</summary>
    public void GatherDelivery(RequestSlot* slot) => Gather(slot, intoGuest: true);

    /// <summary>Copies what was noted. A piece that fails fails its request alone.</summary>
    public void Copy() => _batch.Copy();

    public void Dispose()
    {
        _indirect.Dispose();
        _memory.Dispose();
    }

    private void Gather(RequestSlot* slot, bool intoGuest)
    {
        nint local = slot->Data.Address;
        for (int i = 0; i < slot->SegmentCount; i++)
        {
            BlkifSegment segment = slot->Segments[i];
            int offset = segment.FirstSector * BlkifLimits.SectorSize;
            int length = (segment.LastSector + 1 - segment.FirstSector) * BlkifLimits.SectorSize;
            _batch.Add(slot, intoGuest
                ? GrantCopySegment.IntoGuest(local, _domain, segment.Reference, offset, length)
                : GrantCopySegment.OutOfGuest(local, _domain, segment.Reference, offset, length));
            local += length;
        }
    }
}
