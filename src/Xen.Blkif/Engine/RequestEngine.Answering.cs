using Xen.Blkif.Protocol;

namespace Xen.Blkif.Engine;

/// <content>From a result to the response.</content>
internal sealed unsafe partial class RequestEngine<TRequest, TResponse>
{
    /// <summary>Brings the data of reads into the guest, as far as it is copied, for all of them at once, before any response shows.</summary>
    private void Deliver()
    {
        for (int i = 0; i < _finishedCount; i++)
        {
            RequestSlot* slot = _pool.Slot(_finished[i]);
            if (slot->Status == BlkifStatus.Okay && slot->Kind == BlockRequestKind.Read)
                _guest.GatherDelivery(slot);
        }

        _guest.Copy();
    }

    /// <summary>Answers what is done: the guest's pages let go of, every response put, then shown at once, with one notification at most.</summary>
    private void Respond()
    {
        if (_finishedCount == 0)
            return;

        long now = _clock();
        for (int i = 0; i < _finishedCount; i++)
        {
            int index = _finished[i];
            RequestSlot* slot = _pool.Slot(index);
            _guest.Release(slot, now);
            TResponse response = default;
            response.Fill(slot->Id, slot->Operation, slot->Status);
            uint at = _ring.NextResponse;
            _ring.Put(response);
            _journal?.Index(index, at);
            Statistics.Count(*slot, now);
            _pool.Return(index);
        }

        bool isAwaited = _ring.Push();
        if (_journal is not null)
        {
            for (int i = 0; i < _finishedCount; i++)
                _journal.Release(_finished[i]);
        }

        if (isAwaited)
        {
            Statistics.Notifications++;
            _channel.Notify();
        }
    }
}
