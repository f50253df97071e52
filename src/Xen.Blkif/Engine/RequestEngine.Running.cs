using System.Runtime.CompilerServices;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Engine;

/// <content>What the target has to do, and what it says to that.</content>
internal sealed unsafe partial class RequestEngine<TRequest, TResponse>
{
    /// <summary>Collects the results that targets have left, and starts what a request still has to do.</summary>
    private void Reap()
    {
        for (int slot = _inbox.TakeAll(); slot >= 0;)
        {
            int index = slot;
            slot = _inbox.Collect(index, out BlockStatus status);
            Advance(index, status);
        }
    }

    /// <summary>
    /// Starts the requests taken: one by one until the storage has enough to do, and the others together, which costs less and keeps nobody waiting.
    /// So is the last one, where others are under way: the owner is about to call the target anyway.
    /// </summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Start()
    {
        bool plug = false;
        RequestPool<TRequest> pool = _pool;
        for (int i = 0; i < _taken.Count; i++)
        {
            int index = _taken[i];
            int left = _taken.Count - i;
            int underWay = pool.Rented - left - _finished.Count;
            if (!plug && (underWay >= PlugThreshold || (left == 1 && underWay > 1)))
            {
                plug = true;
                _target.Plug();
            }

            RequestSlot* slot = pool.Slot(index);
            if (slot->Status != BlkifStatus.Okay)
                Answer(index);
            else if (slot->Kind <= BlockRequestKind.Write)
                Transfer(index, slot);
            else if (index != _barrier)
                Run(index);
        }

        if (plug)
            _target.Unplug();
    }

    /// <summary>Has the target do what is one step: a read or a write. Most requests are.</summary>
    private void Transfer(int index, RequestSlot* slot)
    {
        BlockStatus status = SubmitTransfer(index, slot);
        if (status == BlockStatus.Okay)
            Succeed(index, slot);
        else if (status != BlockStatus.Pending)
            Finish(index, slot, status);
    }

    /// <summary>Has the target do one step of a request after another, until one is pending or all are done.</summary>
    private void Run(int index)
    {
        RequestSlot* slot = _pool.Slot(index);
        BlockStatus status = BlockStatus.Okay;
        if (slot->Kind == BlockRequestKind.Discard && slot->Length == 0)
        {
            // It had no whole unit in it: nothing can be given back.
            Finish(index, slot, status);
            return;
        }

        do
        {
            status = slot->Kind <= BlockRequestKind.Write ? SubmitTransfer(index, slot) : SubmitOther(index, slot);
            if (status == BlockStatus.Pending)
                return;
        }
        while (HasNextStep(slot, status));

        Finish(index, slot, status);
    }

    private void Advance(int index, BlockStatus status)
    {
        RequestSlot* slot = _pool.Slot(index);
        if (HasNextStep(slot, status))
            Run(index);
        else
            Finish(index, slot, status);
    }

    private BlockStatus SubmitTransfer(int index, RequestSlot* slot) =>
        Submit(index, BlockIo.Transfer((BlockIoKind)slot->Kind, index, slot->Offset, slot->Length, (nint)slot->Vectors, slot->VectorCount));

    private BlockStatus SubmitOther(int index, RequestSlot* slot) => Submit(index, slot->Kind switch
    {
        BlockRequestKind.Discard => BlockIo.Discard(index, slot->Offset, Math.Min(slot->Length, _maxDiscard)),
        BlockRequestKind.SecureDiscard => BlockIo.Discard(index, slot->Offset, Math.Min(slot->Length, _maxDiscard), secure: true),
        _ => BlockIo.Flush(index),
    });

    private BlockStatus Submit(int index, in BlockIo io)
    {
        if (!_isInline)
            _inbox.Expect(index);
        BlockStatus status;
        try
        {
            status = _target.Submit(io);
        }
#pragma warning disable CA1031 // whatever a target throws, the guest gets its answer
        catch (Exception e)
#pragma warning restore CA1031
        {
            _log.TargetThrew(e);
            status = BlockStatus.Error;
        }

        // A target that completes a request and then throws, or says that it is done, has done both: the first counts.
        if (_isInline)
            return status == BlockStatus.Pending ? BlockStatus.Error : status;
        return status == BlockStatus.Pending || _inbox.TryForget(index) ? status : BlockStatus.Pending;
    }

    private bool HasNextStep(RequestSlot* slot, BlockStatus status)
    {
        if (status != BlockStatus.Okay)
            return false;

        switch (slot->Kind)
        {
            case BlockRequestKind.FlushThenWrite:
                slot->Kind = BlockRequestKind.Write;
                return true;

            case BlockRequestKind.Barrier:
                slot->Kind = BlockRequestKind.Write;
                slot->FlushesAfter = true;
                return slot->Length > 0;

            case BlockRequestKind.Write when slot->FlushesAfter:
                slot->Kind = BlockRequestKind.Flush;
                slot->FlushesAfter = false;
                return true;

            case BlockRequestKind.Discard:
            case BlockRequestKind.SecureDiscard:
                long piece = Math.Min(slot->Length, _maxDiscard);
                slot->Offset += piece;
                slot->Length -= piece;
                return slot->Length > 0;

            default:
                return false;
        }
    }

    private void Finish(int index, RequestSlot* slot, BlockStatus status)
    {
        if (status == BlockStatus.Okay)
        {
            Succeed(index, slot);
            return;
        }

        if (TryHold(index, slot, status))
            return;

        _log.Failed(slot->Kind, slot->Offset, slot->Length, status);

        // A transfer is always supported; a target that says otherwise failed.
        bool optional = slot->Kind is not (BlockRequestKind.Read or BlockRequestKind.Write);
        slot->Status = status == BlockStatus.NotSupported && optional ? BlkifStatus.NotSupported : BlkifStatus.Error;
        Answer(index);
    }

    // The data of a read goes into the guest with the copy that comes before any response shows.
    private void Succeed(int index, RequestSlot* slot)
    {
        if (slot->Kind == BlockRequestKind.Read && slot->IsCopied)
            _guest.GatherDelivery(slot);
        Answer(index);
    }

    private void Answer(int index)
    {
        EndBarrier(index);
        _finished.Add(index);
    }
}
