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
        if (IsInheriting && (_obstacles & Obstacles.Gate) == Obstacles.None)
            BeginInherited(limits);
        if (!IsDraining && CanTake && _ring.Look())
            TakeAnnounced(limits);

        if (_awaitsSegments)
            TakeSegments(limits);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void TakeAnnounced(RequestLimits limits)
    {
        BackRing<TRequest, TResponse> ring = _ring;
        RequestPool<TRequest> pool = _pool;
        long now = _time = _noted != 0 ? _noted : _clock();
        _noted = 0;
        do
        {
            RequestSlot* slot = pool.Rent();
            ring.TakeAnnounced(out *RequestPool<TRequest>.Copy(slot));
            Begin(slot, limits, now);
            if ((_obstacles & Obstacles.Room) != Obstacles.None)
            {
                // The copy is forgotten: the next one is checked as if there had been none.
                ring.PutBack();
                pool.Return(slot);
                break;
            }

            _journal?.Take(pool.IndexOf(slot), *RequestPool<TRequest>.Copy(slot));
        }
        while (ring.HasAnnounced && CanTake);
    }

    /// <summary>Checks a request, of which there is a copy. One that there is no room for leaves that obstacle, and nothing else.</summary>
    private void Begin(RequestSlot* slot, RequestLimits limits, long now)
    {
        TRequest* copy = RequestPool<TRequest>.Copy(slot);
        slot->Id = copy->Id;
        slot->Started = now;

        // Into registers: for all the compiler knows, what is written to the slot below could change the copy.
        byte operation = copy->Operation;
        int segments = copy->SegmentCount;
        ulong sector = copy->SectorNumber;
        if (!RequestParser.IsPlain(ref *copy, limits))
        {
            BeginOther(slot, copy, limits);
            return;
        }

        slot->Operation = operation;
        Prepare(slot, segments);
        ulong sectors = (ulong)segments * BlkifLimits.SectorsPerPage;
        Describe(slot, (BlockRequestKind)operation, (BlkifSegment*)((byte*)copy + copy->SegmentsOffset), sector, sectors);
        AttachData(slot);

        // A read that needs nothing from the guest first, and overtakes nobody, is done on the spot where that can be.
        if (_isInline && operation == (byte)BlkifOperation.Read && _taken.Count == 0 && slot->Status == BlkifStatus.Okay)
            Transfer(slot);
        else
            _taken.Add(slot);
    }

    private void BeginOther(RequestSlot* slot, TRequest* copy, RequestLimits limits)
    {
        slot->Operation = RequestParser.OperationToAnswer(ref *copy);
        Refusal refusal = RequestParser.Parse(ref *copy, limits, out BlockRequest request);
        if (refusal != Refusal.None)
        {
            Refuse(slot, copy, refusal);
            return;
        }

        if (request.AwaitsSegments)
        {
            BeginIndirect(slot, copy, request.SegmentCount);
            return;
        }

        Prepare(slot, request.SegmentCount);
        _taken.Add(slot);
        Accept(slot, (BlkifSegment*)((byte*)copy + copy->SegmentsOffset), request);
    }

    private void BeginIndirect(RequestSlot* slot, TRequest* copy, int segments)
    {
        // What a predecessor took cannot go back.
        if (!IsInheriting && !_guest.HasRoomFor(segments))
        {
            _obstacles |= Obstacles.Room;
            return;
        }

        Prepare(slot, segments);
        _taken.Add(slot);
        _guest.GatherSegments(slot, copy->IndirectReference);
        _awaitsSegments = true;
    }

    /// <summary>Brings the segments of indirect requests out of the guest, for all of them that there was room for at once, and checks those copies.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void TakeSegments(RequestLimits limits)
    {
        int next = 0;
        do
        {
            _awaitsSegments = false;
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
        if ((_obstacles & Obstacles.Room) == Obstacles.None)
            return false;
        _obstacles &= ~Obstacles.Room;
        TakeAnnounced(limits);
        return _awaitsSegments;
    }

    private void CheckSegments(RequestSlot* slot, RequestLimits limits)
    {
        if (slot->Rented == null || slot->Status != BlkifStatus.Okay)
            return;

        TRequest* copy = RequestPool<TRequest>.Copy(slot);
        var segments = new ReadOnlySpan<BlkifSegment>(slot->Rented, slot->SegmentCount);
        Refusal refusal = RequestParser.ParseIndirect(ref *copy, segments, limits, out BlockRequest request);
        if (refusal == Refusal.None)
            Accept(slot, (BlkifSegment*)slot->Rented, request);
        else
            Mark(slot, copy, refusal);
    }

    private void Accept(RequestSlot* slot, BlkifSegment* segments, in BlockRequest request)
    {
        Describe(slot, request.Kind, segments, request.Sector, request.SectorCount);
        if (request.SegmentCount > 0)
            AttachData(slot);
        if (slot->Kind == BlockRequestKind.Discard)
            slot->Length = _discardUnits.Inside(slot->Offset, slot->Length, out slot->Offset);
        slot->Retries = 0;
        NoteBarrier(slot);
    }

    /// <summary>Has a request that passed the checks, so far, started with the others of this pass.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prepare(RequestSlot* slot, int segmentCount)
    {
        slot->Refusal = Refusal.None;
        slot->Status = BlkifStatus.Okay;
        slot->SegmentCount = segmentCount;
    }

    /// <summary>
    /// Says what is to be done, without data yet, and overwrites what the slot's last request has left, but for <see cref="RequestSlot.Vectors"/>
    /// and what goes with them, which <see cref="AttachData"/> sees to.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Describe(RequestSlot* slot, BlockRequestKind kind, BlkifSegment* segments, ulong sector, ulong sectorCount)
    {
        slot->Kind = kind;
        slot->Segments = segments;
        slot->Offset = (long)sector * BlkifLimits.SectorSize;
        slot->Length = slot->TotalLength = (long)sectorCount * BlkifLimits.SectorSize;
        slot->FlushesAfter = false;
    }

    /// <summary>Gives a request room for its data, into which that of a write comes out of the guest with the next copy.</summary>
    private void AttachData(RequestSlot* slot)
    {
        if (!_guest.TryReuse(slot))
            _guest.Attach(_pool.IndexOf(slot), slot);
        if (slot->IsCopied && slot->Kind != BlockRequestKind.Read)
            _guest.GatherFetch(slot);
    }

    private void Refuse(RequestSlot* slot, TRequest* copy, Refusal refusal)
    {
        Mark(slot, copy, refusal);
        _finished.Add(slot);
    }

    private void Mark(RequestSlot* slot, TRequest* copy, Refusal refusal)
    {
        slot->Refusal = refusal;
        slot->Status = Refusals.StatusOf(refusal);
        _log.Refused(refusal, copy->Operation, copy->SectorNumber);
    }
}
