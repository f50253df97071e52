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
            Advance(_pool.Slot(index), status);
        }
    }

    /// <summary>
    /// Starts the requests taken: one by one until the storage has enough to do, and the others together, which costs less and keeps nobody waiting.
    /// So is the last one, where two others are under way: the owner is about to call the target anyway.
    /// </summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Start()
    {
        bool plug = false;
        RequestPool<TRequest> pool = _pool;
        for (int i = 0; i < _taken.Count; i++)
        {
            RequestSlot* slot = _taken[i];
            int left = _taken.Count - i;
            int underWay = pool.Rented - left - _finished.Count;
            if (!plug && (underWay >= PlugThreshold || (left == 1 && underWay > 1)))
            {
                plug = true;
                _target.Plug();
            }

            if (slot->Status != BlkifStatus.Okay)
                Answer(slot);
            else if (slot->Kind <= BlockRequestKind.Write)
                Transfer(slot);
            else if (slot != _barrier)
                Run(slot);
        }

        if (plug)
            _target.Unplug();
    }

    /// <summary>Has the target do what is one step: a read or a write. Most requests are.</summary>
    private void Transfer(RequestSlot* slot)
    {
        BlockStatus status = SubmitTransfer(slot);
        if (status == BlockStatus.Okay)
            Succeed(slot);
        else if (status != BlockStatus.Pending)
            Finish(slot, status);
    }

    /// <summary>Has the target do one step of a request after another, until one is pending or all are done.</summary>
    private void Run(RequestSlot* slot)
    {
        BlockStatus status = BlockStatus.Okay;
        if (slot->Kind == BlockRequestKind.Discard && slot->Length == 0)
        {
            // It had no whole unit in it: nothing can be given back.
            Finish(slot, status);
            return;
        }

        do
        {
            status = slot->Kind <= BlockRequestKind.Write ? SubmitTransfer(slot) : SubmitOther(slot);
            if (status == BlockStatus.Pending)
                return;
        }
        while (HasNextStep(slot, status));

        Finish(slot, status);
    }

    private void Advance(RequestSlot* slot, BlockStatus status)
    {
        if (HasNextStep(slot, status))
            Run(slot);
        else
            Finish(slot, status);
    }

    private BlockStatus SubmitTransfer(RequestSlot* slot) => Submit(BlockIo.Transfer(
        (BlockIoKind)slot->Kind, _pool.IndexOf(slot), slot->Offset, slot->Length, (nint)slot->Vectors, slot->VectorCount));

    private BlockStatus SubmitOther(RequestSlot* slot)
    {
        int index = _pool.IndexOf(slot);
        return Submit(slot->Kind switch
        {
            BlockRequestKind.Discard => BlockIo.Discard(index, slot->Offset, Math.Min(slot->Length, _maxDiscard)),
            BlockRequestKind.SecureDiscard => BlockIo.Discard(index, slot->Offset, Math.Min(slot->Length, _maxDiscard), secure: true),
            _ => BlockIo.Flush(index),
        });
    }

    private BlockStatus Submit(in BlockIo io)
    {
        BlockStatus status;
        if (_isInline)
        {
            // What is not done at once has failed.
            status = CallTarget(io);
            return status == BlockStatus.Pending ? BlockStatus.Error : status;
        }

        // A target that completes a request and then throws, or says that it is done, has done both: the first counts.
        _inbox.Expect(io.Slot);
        status = CallTarget(io);
        return status == BlockStatus.Pending || _inbox.TryForget(io.Slot) ? status : BlockStatus.Pending;
    }

    private BlockStatus CallTarget(in BlockIo io)
    {
        try
        {
            return _target.Submit(io);
        }
#pragma warning disable CA1031 // whatever a target throws, the guest gets its answer
        catch (Exception e)
#pragma warning restore CA1031
        {
            _log.TargetThrew(e);
            return BlockStatus.Error;
        }
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

    private void Finish(RequestSlot* slot, BlockStatus status)
    {
        if (status == BlockStatus.Okay)
        {
            Succeed(slot);
            return;
        }

        if (TryHold(slot, status))
            return;

        _log.Failed(slot->Kind, slot->Offset, slot->Length, status);

        // A transfer is always supported; a target that says otherwise failed.
        bool optional = slot->Kind is not (BlockRequestKind.Read or BlockRequestKind.Write);
        slot->Status = status == BlockStatus.NotSupported && optional ? BlkifStatus.NotSupported : BlkifStatus.Error;
        Answer(slot);
    }

    // The data of a read goes into the guest with the copy that comes before any response shows.
    private void Succeed(RequestSlot* slot)
    {
        if (slot->Kind == BlockRequestKind.Read && slot->IsCopied)
            _guest.GatherDelivery(slot);
        Answer(slot);
    }

    private void Answer(RequestSlot* slot)
    {
        EndBarrier(slot);
        _finished.Add(slot);
    }
}
