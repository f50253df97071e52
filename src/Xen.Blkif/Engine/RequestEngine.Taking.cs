using Xen.Blkif.Protocol;

namespace Xen.Blkif.Engine;

/// <content>From the ring to a request that can be started.</content>
internal sealed unsafe partial class RequestEngine<TRequest, TResponse>
{
    /// <summary>Takes requests from the ring for as long as there is room for them, and checks each.</summary>
    private void Take(RequestLimits limits)
    {
        long now = 0;
        bool indirect = _inherited.Length > 0 && !_isShutOut && BeginInherited(limits);
        while (!IsDraining && CanTake)
        {
            int index = _pool.Next;
            TRequest* copy = _pool.Copy(index);
            if (!_ring.TryTake(out *copy))
                break;

            _pool.Rent();
            _journal?.Take(index, *copy);
            if (now == 0)
                now = _clock();
            indirect |= Begin(index, copy, limits, now);
        }

        if (indirect)
            TakeSegments(limits);
    }

    /// <summary>Checks a request.</summary>
    /// <returns>Whether its segments are yet to be brought out of the guest.</returns>
    private bool Begin(int index, TRequest* copy, RequestLimits limits, long now)
    {
        RequestSlot* slot = _pool.Slot(index);
        slot->Id = copy->Id;
        slot->Operation = RequestParser.OperationToAnswer(ref *copy);
        slot->Started = now;
        slot->Refusal = RequestParser.Parse(ref *copy, limits, out BlockRequest request);
        if (slot->Refusal != Refusal.None)
        {
            Refuse(slot, copy);
            _finished[_finishedCount++] = index;
            return false;
        }

        slot->Status = BlkifStatus.Okay;
        slot->SegmentCount = request.SegmentCount;
        _taken[_takenCount++] = index;
        if (request.AwaitsSegments)
            _guest.GatherSegments(slot, copy->IndirectReference);
        else
            Accept(index, slot, (BlkifSegment*)((byte*)copy + copy->SegmentsOffset), request);
        return request.AwaitsSegments;
    }

    /// <summary>Brings the segments of indirect requests out of the guest, for all of them at once, and checks those copies.</summary>
    private void TakeSegments(RequestLimits limits)
    {
        _guest.Copy();
        for (int i = 0; i < _takenCount; i++)
        {
            RequestSlot* slot = _pool.Slot(_taken[i]);
            if (slot->Rented == null || slot->Status != BlkifStatus.Okay)
                continue;

            TRequest* copy = _pool.Copy(_taken[i]);
            var segments = new ReadOnlySpan<BlkifSegment>(slot->Rented, slot->SegmentCount);
            slot->Refusal = RequestParser.ParseIndirect(ref *copy, segments, limits, out BlockRequest request);
            if (slot->Refusal == Refusal.None)
                Accept(_taken[i], slot, (BlkifSegment*)slot->Rented, request);
            else
                Refuse(slot, copy);
        }

        _guest.EndPromises();
    }

    private void Accept(int index, RequestSlot* slot, BlkifSegment* segments, in BlockRequest request)
    {
        slot->Kind = request.Kind;
        slot->Segments = segments;
        slot->Offset = (long)request.Sector * BlkifLimits.SectorSize;
        slot->Length = slot->TotalLength = (long)request.SectorCount * BlkifLimits.SectorSize;
        if (request.SegmentCount > 0)
            _guest.Attach(index, slot);
        if (slot->Kind == BlockRequestKind.Discard)
            slot->Length = _discardUnits.Inside(slot->Offset, slot->Length, out slot->Offset);
        slot->Retries = 0;
        slot->FlushesAfter = false;
        NoteBarrier(index);
    }

    private void Refuse(RequestSlot* slot, TRequest* copy)
    {
        slot->Status = Refusals.StatusOf(slot->Refusal);
        _log.Refused(slot->Refusal, copy->Operation, copy->SectorNumber);
    }

    /// <summary>Brings the data of writes out of the guest, as far as it is copied, for all of them at once.</summary>
    private void Fetch()
    {
        for (int i = 0; i < _takenCount; i++)
        {
            RequestSlot* slot = _pool.Slot(_taken[i]);
            if (slot->Status == BlkifStatus.Okay && slot->Kind is (BlockRequestKind.Write or BlockRequestKind.FlushThenWrite or BlockRequestKind.Barrier))
                _guest.GatherFetch(slot);
        }

        _guest.Copy();
    }
}
