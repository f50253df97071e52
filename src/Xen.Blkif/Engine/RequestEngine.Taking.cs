using System.Runtime.CompilerServices;
using Xen.Blkif.Protocol;
using Xen.Blkif.Rings;

namespace Xen.Blkif.Engine;

/// <content>From the ring to a request that can be started.</content>
internal sealed unsafe partial class RequestEngine<TRequest, TResponse>
{
    /// <summary>Takes requests from the ring for as long as there is room for them, and checks each.</summary>
    private void Take(RequestLimits limits)
    {
        bool indirect = IsInheriting && !_isShutOut && BeginInherited(limits);
        if (!IsDraining && CanTake && _ring.Look())
            indirect |= TakeAnnounced(limits);

        if (indirect)
            TakeSegments(limits);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TakeAnnounced(RequestLimits limits)
    {
        BackRing<TRequest, TResponse> ring = _ring;
        RequestPool<TRequest> pool = _pool;
        bool indirect = false;
        long now = _time = _noted != 0 ? _noted : _clock();
        _noted = 0;
        do
        {
            int index = pool.Rent();
            TRequest* copy = pool.Copy(index);
            ring.TakeAnnounced(out *copy);
            indirect |= Begin(index, pool.Slot(index), copy, limits, now);
            if (_lacksRoom)
            {
                // The copy is forgotten: the next one is checked as if there had been none.
                ring.PutBack();
                pool.Return(index);
                break;
            }

            _journal?.Take(index, *copy);
        }
        while (ring.HasAnnounced && !pool.IsExhausted && _barrier == None);
        return indirect;
    }

    /// <summary>Checks a request. One that there is no room for leaves <see cref="_lacksRoom"/> set, and nothing else.</summary>
    /// <returns>Whether its segments are yet to be brought out of the guest.</returns>
    private bool Begin(int index, RequestSlot* slot, TRequest* copy, RequestLimits limits, long now)
    {
        slot->Id = copy->Id;
        slot->Started = now;
        if (copy->Operation > (byte)BlkifOperation.Write)
            return BeginOther(index, slot, copy, limits);

        // Reads and writes, which are most requests, without a detour.
        slot->Operation = copy->Operation;
        Refusal refusal = RequestParser.CheckTransfer(ref *copy, limits, out uint sectors);
        if (limits.ReadOnly && copy->Operation == (byte)BlkifOperation.Write)
            refusal = Refusal.ReadOnly;
        if (refusal != Refusal.None)
        {
            Refuse(index, slot, copy, refusal);
            return false;
        }

        Prepare(slot, copy->SegmentCount);
        Describe(slot, (BlockRequestKind)copy->Operation, (BlkifSegment*)((byte*)copy + copy->SegmentsOffset), copy->SectorNumber, sectors);
        AttachData(index, slot);

        // A read that needs nothing from the guest first, and overtakes nobody, is done on the spot where that can be.
        if (_isInline && copy->Operation == (byte)BlkifOperation.Read && _taken.Count == 0 && slot->Status == BlkifStatus.Okay)
            Transfer(index, slot);
        else
            _taken.Add(index);
        return false;
    }

    private bool BeginOther(int index, RequestSlot* slot, TRequest* copy, RequestLimits limits)
    {
        slot->Operation = RequestParser.OperationToAnswer(ref *copy);
        Refusal refusal = RequestParser.Parse(ref *copy, limits, out BlockRequest request);
        if (refusal != Refusal.None)
        {
            Refuse(index, slot, copy, refusal);
            return false;
        }

        if (request.AwaitsSegments)
            return BeginIndirect(index, slot, copy, request.SegmentCount);

        Prepare(slot, request.SegmentCount);
        _taken.Add(index);
        Accept(index, slot, (BlkifSegment*)((byte*)copy + copy->SegmentsOffset), request);
        return false;
    }

    private bool BeginIndirect(int index, RequestSlot* slot, TRequest* copy, int segments)
    {
        // What a predecessor took cannot go back.
        _lacksRoom = !IsInheriting && !_guest.HasRoomFor(segments);
        if (_lacksRoom)
            return false;

        Prepare(slot, segments);
        _taken.Add(index);
        _guest.GatherSegments(slot, copy->IndirectReference);
        return true;
    }

    /// <summary>Brings the segments of indirect requests out of the guest, for all of them that there was room for at once, and checks those copies.</summary>
    private void TakeSegments(RequestLimits limits)
    {
        int next = 0;
        do
        {
            _guest.Copy();
            for (; next < _taken.Count; next++)
                CheckSegments(_taken[next], limits);
        }
        while (_guest.EndPromises() && TakeWhatWaited(limits));
    }

    /// <summary>Goes on where taking stopped for want of room that was kept for requests which did not need it, for their pages are mapped.</summary>
    /// <returns>Whether there are more segments to be brought out of the guest.</returns>
    private bool TakeWhatWaited(RequestLimits limits)
    {
        bool waited = _lacksRoom;
        _lacksRoom = false;
        return waited && TakeAnnounced(limits);
    }

    private void CheckSegments(int index, RequestLimits limits)
    {
        RequestSlot* slot = _pool.Slot(index);
        if (slot->Rented == null || slot->Status != BlkifStatus.Okay)
            return;

        TRequest* copy = _pool.Copy(index);
        var segments = new ReadOnlySpan<BlkifSegment>(slot->Rented, slot->SegmentCount);
        Refusal refusal = RequestParser.ParseIndirect(ref *copy, segments, limits, out BlockRequest request);
        if (refusal == Refusal.None)
            Accept(index, slot, (BlkifSegment*)slot->Rented, request);
        else
            Mark(slot, copy, refusal);
    }

    private void Accept(int index, RequestSlot* slot, BlkifSegment* segments, in BlockRequest request)
    {
        Describe(slot, request.Kind, segments, request.Sector, request.SectorCount);
        if (request.SegmentCount > 0)
            AttachData(index, slot);
        if (slot->Kind == BlockRequestKind.Discard)
            slot->Length = _discardUnits.Inside(slot->Offset, slot->Length, out slot->Offset);
        slot->Retries = 0;
        NoteBarrier(index);
    }

    /// <summary>Has a request that passed the checks, so far, started with the others of this pass.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prepare(RequestSlot* slot, int segmentCount)
    {
        slot->Refusal = Refusal.None;
        slot->Status = BlkifStatus.Okay;
        slot->SegmentCount = segmentCount;
    }

    /// <summary>Says what is to be done, without data yet, and overwrites what the slot's last request has left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Describe(RequestSlot* slot, BlockRequestKind kind, BlkifSegment* segments, ulong sector, ulong sectorCount)
    {
        slot->Kind = kind;
        slot->Segments = segments;
        slot->Offset = (long)sector * BlkifLimits.SectorSize;
        slot->Length = slot->TotalLength = (long)sectorCount * BlkifLimits.SectorSize;
        slot->IsCopied = false;
        slot->FlushesAfter = false;
    }

    /// <summary>Gives a request room for its data, into which that of a write comes out of the guest with the next copy.</summary>
    private void AttachData(int index, RequestSlot* slot)
    {
        _guest.Attach(index, slot);
        if (slot->IsCopied && slot->Kind != BlockRequestKind.Read)
            _guest.GatherFetch(slot);
    }

    private void Refuse(int index, RequestSlot* slot, TRequest* copy, Refusal refusal)
    {
        Mark(slot, copy, refusal);
        _finished.Add(index);
    }

    private void Mark(RequestSlot* slot, TRequest* copy, Refusal refusal)
    {
        slot->Refusal = refusal;
        slot->Status = Refusals.StatusOf(refusal);
        _log.Refused(refusal, copy->Operation, copy->SectorNumber);
    }
}
