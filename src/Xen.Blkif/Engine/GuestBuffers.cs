using System.Runtime.CompilerServices;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Memory;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Engine;

/// <summary>
/// The way to what a guest keeps outside its ring: its data, and the segments of indirect requests. The only type of the engine that reaches
/// guest memory. A request's data is copied to and from a buffer, eleven pages for every slot and more that an indirect request rents, or the
/// target works on the guest's pages themselves.
/// </summary>
/// <remarks>
/// With pages that are mapped, the guest may change data while the target reads it: that harms no one but the guest. What is checked is
/// copied first, always.
/// </remarks>
internal sealed unsafe partial class GuestBuffers : IDisposable
{
    // A page of segments, one of vectors.
    private const int IndirectVectors = XenPage.Size;
    private const int IndirectLength = 2 * XenPage.Size;

    private const int LargePages = RequestLimits.IndirectSegmentsCeiling;
    private const int LargeLength = LargePages * XenPage.Size;

    private readonly DomainId _domain;
    private readonly GuestMemoryAccess _access;
    private readonly EngineLog _log;
    private readonly Func<long> _clock;
    private readonly GrantCopyBatch _batch;
    private readonly PageMapper _pages;
    private readonly PersistentGrants? _persistent;
    private readonly SlotMemory _small;
    private readonly NativeBuffer _vectors;

    // Of indirect requests: what each needs, and room for the data of those that are copied.
    private readonly BufferPool _indirect;
    private readonly BufferPool _large;

    /// <summary>Takes address space for the worst case of requests without indirect segments; pages are used as requests need them.</summary>
    /// <param name="settings">The grant table, the guest, and how to reach it.</param>
    /// <param name="log">Hears what fails here.</param>
    /// <param name="slots">Requests that can be under way at once.</param>
    /// <param name="indirect">Indirect ones that can be, at least 1.</param>
    public GuestBuffers(EngineSettings settings, EngineLog log, int slots, int indirect)
    {
        Func<long, NativeBuffer> make = settings.MakeBuffer;
        _domain = settings.Domain;
        _access = settings.GuestMemory;
        _log = log;
        _clock = settings.Clock;
        _batch = new GrantCopyBatch(settings.Grants);
        _pages = new PageMapper(settings.Grants, settings.Domain, log);
        if (_access == GuestMemoryAccess.Persistent)
            _persistent = new PersistentGrants(_pages, settings.MaxPersistentGrants, settings.MemoryBudget, settings.PersistentGrantTicks, settings.Clock());
        _small = new SlotMemory(make, slots, settings.MaxBufferPages);
        _vectors = make((long)slots * BlkifLimits.MaxSegments * sizeof(IoVector));
        _indirect = new BufferPool(make, IndirectLength, indirect, kept: 0, new MemoryBudget(long.MaxValue));
        _large = new BufferPool(make, LargeLength, indirect, (settings.MaxBufferPages - _small.KeptPages) / LargePages, settings.MemoryBudget);
    }

    /// <summary>Whether there is no room for the data of one more request, should it be indirect.</summary>
    public bool IsExhausted => _indirect.IsExhausted || (_access != GuestMemoryAccess.Map && _large.IsExhausted);

    /// <summary>
    /// Gives a slot room for an indirect request, whose segments come out of the guest now or with the next <see cref="Copy"/>, and keeps room
    /// for its data until <see cref="EndPromises"/>. Where there is no memory for it, the request has failed.
    /// </summary>
    /// <param name="slot">The slot; its number of segments is known.</param>
    /// <param name="page">The guest's page that holds them.</param>
    // Only so many bytes as there are segments, and only once: what the guest does to the page afterwards changes nothing.
    public void GatherSegments(RequestSlot* slot, GrantReference page)
    {
        slot->HasLoans = true;
        slot->Rented = _indirect.TryRent();
        if (slot->Rented == null)
        {
            slot->Status = BlkifStatus.Error;
            _log.OutOfMemory(slot->SegmentCount);
            return;
        }

        _large.Promise();
        slot->Segments = (BlkifSegment*)slot->Rented;
        int length = slot->SegmentCount * sizeof(BlkifSegment);
        nint mapped = _persistent?.TryHold(page) ?? 0;
        if (mapped == 0)
        {
            *_batch.Add(slot, 1) = GrantCopySegment.OutOfGuest((nint)slot->Rented, _domain, page, 0, length);
            return;
        }

        Buffer.MemoryCopy((void*)mapped, slot->Rented, XenPage.Size, length);
        _persistent!.Release(page, slot->Started);
    }

    /// <summary>To be called when every request whose segments were gathered is attached or has failed.</summary>
    public void EndPromises() => _large.EndPromises();

    /// <summary>
    /// Gives a slot vectors for its data. Where its pages have to be mapped and cannot be, or there is no memory for them, the request has
    /// failed.
    /// </summary>
    public void Attach(int index, RequestSlot* slot)
    {
        if (_access == GuestMemoryAccess.Copy && slot->Rented == null)
        {
            // Most requests of most guests, in a few instructions.
            slot->Vectors = VectorsOf(index);
            slot->Vectors[0] = new IoVector((nint)_small.Use(index, slot->Started), (nint)slot->Length);
            slot->VectorCount = 1;
            slot->IsCopied = true;
            return;
        }

        AttachOther(index, slot);
    }

    /// <summary>Takes back what a slot has rented, and lets go of the guest's pages: to be called before its response.</summary>
    /// <param name="slot">The slot.</param>
    /// <param name="now">The time.</param>
    public void Release(RequestSlot* slot, long now)
    {
        if (slot->HasLoans)
            ReleaseLoans(slot, now);
    }

    /// <summary>Notes that the data of a request that is copied is to come out of the guest with the next <see cref="Copy"/>.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public void GatherFetch(RequestSlot* slot) => Gather(slot, intoGuest: false);

    /// <summary>Notes that the data of a request that is copied is to go into the guest with the next <see cref="Copy"/>.</summary>
    public void GatherDelivery(RequestSlot* slot) => Gather(slot, intoGuest: true);

    /// <summary>Copies what was noted. A piece that fails fails its request alone.</summary>
    public void Copy() => _batch.Copy();

    public void Dispose()
    {
        _persistent?.Dispose();
        _batch.Dispose();
        _large.Dispose();
        _indirect.Dispose();
        _vectors.Dispose();
        _small.Dispose();
    }

    private IoVector* VectorsOf(int index) => (IoVector*)_vectors.Start + (index * BlkifLimits.MaxSegments);

    private void AttachOther(int index, RequestSlot* slot)
    {
        slot->Vectors = slot->Rented == null ? VectorsOf(index) : (IoVector*)(slot->Rented + IndirectVectors);
        slot->VectorCount = 0;
        if (_access == GuestMemoryAccess.Map)
        {
            if (!TryMap(slot))
                slot->Status = BlkifStatus.Error;
        }
        else if (_persistent is null || !TryHold(slot, _persistent))
        {
            GiveBuffer(index, slot);
        }
    }

    private void ReleaseLoans(RequestSlot* slot, long now)
    {
        slot->HasLoans = false;
        if (slot->Mapped != 0)
            _pages.Unmap(slot->Mapped, slot->SegmentCount);
        slot->Mapped = 0;

        while (slot->Held > 0)
            _persistent!.Release(slot->Segments[--slot->Held].Reference, now);

        if (slot->Large != null)
            _large.Return(slot->Large);
        slot->Large = null;

        if (slot->Rented != null)
            _indirect.Return(slot->Rented);
        slot->Rented = null;
    }

    private static nint LengthOf(BlkifSegment segment) => (nint)((segment.LastSector + 1u - segment.FirstSector) * BlkifLimits.SectorSize);

    // Compiled for each direction: a loop that asks for it with each piece is slower by a third.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Gather(RequestSlot* slot, bool intoGuest)
    {
        GrantCopySegment* piece = _batch.Add(slot, slot->SegmentCount);
        nint local = slot->Vectors[0].Address;
        DomainId domain = _domain; // once: for all the compiler knows, what the loop writes could change it
        BlkifSegment* end = slot->Segments + slot->SegmentCount;
        if (slot->Length == (long)slot->SegmentCount * XenPage.Size)
        {
            // No segment has more than a page: then each has a whole one.
            for (BlkifSegment* segment = slot->Segments; segment < end; segment++, piece++, local += XenPage.Size)
                *piece = PieceOf(local, domain, *segment, 0, XenPage.Size, intoGuest);
            return;
        }

        for (BlkifSegment* segment = slot->Segments; segment < end; segment++, piece++)
        {
            nint length = LengthOf(*segment);
            *piece = PieceOf(local, domain, *segment, segment->FirstSector * BlkifLimits.SectorSize, (int)length, intoGuest);
            local += length;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static GrantCopySegment PieceOf(nint local, DomainId domain, BlkifSegment segment, int offset, int length, bool intoGuest) => intoGuest
        ? GrantCopySegment.IntoGuest(local, domain, segment.Reference, offset, length)
        : GrantCopySegment.OutOfGuest(local, domain, segment.Reference, offset, length);

    private void GiveBuffer(int index, RequestSlot* slot)
    {
        byte* buffer = slot->Rented == null ? _small.Use(index, slot->Started) : slot->Large = _large.TryRent();
        if (buffer == null)
        {
            slot->Status = BlkifStatus.Error;
            _log.OutOfMemory(slot->SegmentCount);
            return;
        }

        slot->IsCopied = true;
        slot->AddVector((nint)buffer, (nint)slot->Length);
    }
}
