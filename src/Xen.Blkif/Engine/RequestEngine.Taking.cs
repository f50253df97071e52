using System.Diagnostics;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Engine;

/// <content>From the ring to a request that can be started.</content>
internal sealed unsafe partial class RequestEngine<TRequest, TResponse>
{
    /// <summary>Takes requests from the ring for as long as there are slots, and checks each.</summary>
    private void Take()
    {
        RequestLimits limits = Limits;
        long now = 0;
        while (!_pool.IsExhausted)
        {
            int index = _pool.Next;
            TRequest* copy = _pool.Copy(index);
            if (!_ring.TryTake(out *copy))
                break;

            _pool.Rent();
            if (now == 0)
                now = Stopwatch.GetTimestamp();
            RequestSlot* slot = _pool.Slot(index);
            slot->Id = copy->Id;
            slot->Operation = copy->Operation;
            slot->Started = now;
            slot->Refusal = RequestParser.Parse(ref *copy, limits, out BlockRequest request);
            if (slot->Refusal == Refusal.None)
                Accept(index, slot, copy, request);
            else
                Refuse(index, slot, copy);
        }
    }

    private void Accept(int index, RequestSlot* slot, TRequest* copy, in BlockRequest request)
    {
        slot->Kind = request.Kind;
        slot->Status = BlkifStatus.Okay;
        slot->SegmentCount = request.SegmentCount;
        slot->Segments = (BlkifSegment*)((byte*)copy + copy->SegmentsOffset);
        slot->Offset = (long)request.Sector * BlkifLimits.SectorSize;
        slot->Length = slot->TotalLength = (long)request.SectorCount * BlkifLimits.SectorSize;
        if (request.SegmentCount > 0)
            _guest.Attach(index, slot);
        _taken[_takenCount++] = index;
    }

    private void Refuse(int index, RequestSlot* slot, TRequest* copy)
    {
        slot->Status = Refusals.StatusOf(slot->Refusal);
        slot->SegmentCount = 0;
        _log.Refused(slot->Refusal, slot->Operation, copy->SectorNumber);
        _finished[_finishedCount++] = index;
    }

    /// <summary>Brings the data of writes out of the guest, for all of them at once.</summary>
    private void Fetch()
    {
        for (int i = 0; i < _takenCount; i++)
        {
            RequestSlot* slot = _pool.Slot(_taken[i]);
            if (slot->Kind is BlockRequestKind.Write or BlockRequestKind.FlushThenWrite)
                _guest.GatherFetch(slot);
        }

        _guest.Copy();
    }
}
