using System.Diagnostics;
using System.Runtime.CompilerServices;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Memory;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Engine;

/// <summary>
/// The way to what a guest keeps outside its ring: its data, and the segments of indirect requests. The only type of the engine that reaches
/// guest memory. A request's data is copied to and from memory of our own, eleven pages for every slot and more that an indirect request rents,
/// or the target works on the guest's pages themselves.
/// </summary>
/// <remarks>
/// With pages that are mapped, the guest may change data while the target reads it: that harms no one but the guest. What is checked is
/// copied first, always.
/// </remarks>
internal sealed unsafe partial class GuestBuffers : IDisposable
{
    private readonly DomainId _domain;
    private readonly GuestMemoryAccess _access;
    private readonly EngineLog _log;
    private readonly Func<long> _clock;
    private readonly GrantCopyBatch _batch;
    private readonly PageMapper _pages;
    private readonly PersistentGrants? _persistent;
    private readonly SlotMemory _small;
    private readonly NativeBuffer _vectors;

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
        _pieces = new BufferPool(make, PieceLength, MostPieces, (settings.MaxBufferPages - _small.KeptPages) / PiecePages, settings.MemoryBudget);
    }

    /// <summary>
    /// Gives a slot vectors for its data. Where its pages have to be mapped and cannot be, or there is no memory for them, the request has
    /// failed.
    /// </summary>
    public void Attach(int index, RequestSlot* slot)
    {
        slot->Vectors = slot->Rented == null ? VectorsOf(index) : (IoVector*)(slot->Rented + IndirectVectors);
        slot->VectorCount = 0;
        slot->IsCopied = false;
        if (_access == GuestMemoryAccess.Map)
        {
            if (!TryMap(slot))
                slot->Status = BlkifStatus.Error;
        }
        else if (_persistent is null || !TryHold(slot, _persistent))
        {
            if (slot->Rented == null)
                GiveBuffer(index, slot);
            else
                GivePieces(slot);
        }
    }

    /// <summary>Has a slot keep for its data what the last request there had: most requests of most guests, in a few instructions.</summary>
    /// <returns>False where it has nothing.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryReuse(RequestSlot* slot)
    {
        IoVector* vectors = slot->Vectors;
        if (vectors == null)
            return false;
        Debug.Assert(slot->VectorCount == 1 && slot->IsCopied, "What a slot keeps is one piece of memory of our own.");
        *vectors = new IoVector(vectors->Address, (nint)slot->Length);
        _small.NoteUse(slot->Started);
        return true;
    }

    /// <summary>Whether <see cref="Release"/> has to know the time.</summary>
    public bool NotesTime => _persistent is not null;

    /// <summary>Takes back what a slot has rented, and lets go of the guest's pages: to be called before its response.</summary>
    /// <param name="slot">The slot.</param>
    /// <param name="now">The time, if it is noted.</param>
    public void Release(RequestSlot* slot, long now)
    {
        if (slot->HasLoans)
            ReleaseLoans(slot, now);
    }

    /// <summary>Notes that the data of a request that is copied is to come out of the guest with the next <see cref="Copy"/>.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public void GatherFetch(RequestSlot* slot) => Gather(slot, intoGuest: false);

    /// <summary>Notes that the data of a request that is copied is to go into the guest with the next <see cref="Copy"/>.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public void GatherDelivery(RequestSlot* slot) => Gather(slot, intoGuest: true);

    /// <summary>Copies what was noted. A piece that fails fails its request alone.</summary>
    public void Copy() => _batch.Copy();

    public void Dispose()
    {
        _persistent?.Dispose();
        _batch.Dispose();
        _pieces.Dispose();
        _indirect.Dispose();
        _vectors.Dispose();
        _small.Dispose();
    }

    private IoVector* VectorsOf(int index) => (IoVector*)_vectors.Start + (index * BlkifLimits.MaxSegments);

    private void ReleaseLoans(RequestSlot* slot, long now)
    {
        IoVector* vectors = slot->Vectors;
        slot->HasLoans = false;
        slot->Vectors = null;
        if (slot->Mapped != 0)
            _pages.Unmap(slot->Mapped, slot->SegmentCount);
        slot->Mapped = 0;

        while (slot->Held > 0)
            _persistent!.Release(slot->Segments[--slot->Held].Reference, now);

        while (slot->Pieces > 0)
            _pieces.Return((byte*)vectors[--slot->Pieces].Address);

        if (slot->Rented != null)
            _indirect.Return(slot->Rented);
        slot->Rented = null;
    }

    private static nint LengthOf(BlkifSegment segment) => (nint)((segment.LastSector + 1u - segment.FirstSector) * BlkifLimits.SectorSize);

    // Compiled for each direction: a loop that asks for it with each piece is slower by a third.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Gather(RequestSlot* slot, bool intoGuest)
    {
        GrantCopySegment* copy = _batch.Add(slot, slot->SegmentCount);

        // No segment has more than a page: then each has a whole one.
        bool whole = slot->Length == (long)slot->SegmentCount * XenPage.Size;
        if (whole && slot->VectorCount == 1)
            WriteWhole(copy, slot->Segments, slot->SegmentCount, slot->Vectors->Address, _domain, intoGuest);
        else
            GatherParts(copy, slot, whole, intoGuest);
    }

    // Parts of pages, or several pieces of memory: few requests, or such whose data costs far more than this.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void GatherParts(GrantCopySegment* copy, RequestSlot* slot, bool whole, bool intoGuest)
    {
        IoVector* vector = slot->Vectors;
        BlkifSegment* segment = slot->Segments;
        int left = slot->SegmentCount;
        for (; left > PiecePages; left -= PiecePages, segment += PiecePages, copy += PiecePages)
            Write(copy, segment, PiecePages, whole, vector++->Address, _domain, intoGuest);
        Write(copy, segment, left, whole, vector->Address, _domain, intoGuest);
    }

    private static void Write(GrantCopySegment* copy, BlkifSegment* segment, int count, bool whole, nint local, DomainId domain, bool intoGuest)
    {
        if (whole)
        {
            WriteWhole(copy, segment, count, local, domain, intoGuest);
            return;
        }

        for (BlkifSegment* end = segment + count; segment < end; segment++, copy++)
        {
            nint length = LengthOf(*segment);
            *copy = CopyOf(local, domain, *segment, segment->FirstSector * BlkifLimits.SectorSize, (int)length, intoGuest);
            local += length;
        }
    }

    // The domain by value: for all the compiler knows, what the loop writes could change a field.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteWhole(GrantCopySegment* copy, BlkifSegment* segment, int count, nint local, DomainId domain, bool intoGuest)
    {
        for (BlkifSegment* end = segment + count; segment < end; segment++, copy++, local += XenPage.Size)
            *copy = CopyOf(local, domain, *segment, 0, XenPage.Size, intoGuest);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static GrantCopySegment CopyOf(nint local, DomainId domain, BlkifSegment segment, int offset, int length, bool intoGuest) => intoGuest
        ? GrantCopySegment.IntoGuest(local, domain, segment.Reference, offset, length)
        : GrantCopySegment.OutOfGuest(local, domain, segment.Reference, offset, length);

    private void GiveBuffer(int index, RequestSlot* slot)
    {
        slot->IsCopied = true;
        slot->AddVector((nint)_small.Of(index), (nint)slot->Length);
        _small.NoteUse(slot->Started);
    }
}
