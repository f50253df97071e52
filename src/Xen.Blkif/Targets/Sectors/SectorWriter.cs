using System.Collections.Concurrent;

namespace Xen.Blkif.Targets.Sectors;

/// <summary>
/// Does what a ring's thread cannot do when it submits: writes that read first, and those that had to wait for others. On a thread of its
/// own, which has a queue of the target's own, as only the thread that owns a queue may submit to it.
/// </summary>
internal sealed class SectorWriter : IBlockCompletions, IDisposable
{
    private readonly SectorSlot[] _slots;
    private readonly BlockOrder _order;
    private readonly IBlockCompletions _completions;
    private readonly IBlockQueue _target;
    private readonly Thread _thread;

    // Its segments are reused while no more requests wait than once did: no allocation in steady state.
    private readonly ConcurrentQueue<SectorSlot> _posted = new();

    // One permit for each posted slot, and at the end one more.
    private readonly SemaphoreSlim _permits = new(0);

    public SectorWriter(IBlockTarget target, SectorSlot[] slots, BlockOrder order, IBlockCompletions completions)
    {
        _slots = slots;
        _order = order;
        _completions = completions;
        _target = target.OpenQueue(slots.Length, this);
        _thread = new Thread(Work) { IsBackground = true, Name = "blkif sector writer" };
        _thread.Start();
    }

    /// <summary>Has a slot's next step done. Any thread.</summary>
    public void Post(SectorSlot slot)
    {
        _posted.Enqueue(slot);
        _permits.Release();
    }

    /// <inheritdoc/>
    public void Complete(int slot, BlockStatus status)
    {
        if (!_slots[slot].TrySettle())
            throw new InvalidOperationException($"A target completed slot {slot} with {status}, but no request is under way there.");
        if (status == BlockStatus.Okay && _slots[slot].HasNext)
            Post(_slots[slot]);
        else
            Finish(_slots[slot], status);
    }

    public void Dispose()
    {
        _permits.Release();
        _thread.Join();
        _permits.Dispose();
        _target.Dispose();
    }

    private void Work()
    {
        while (true)
        {
            _permits.Wait();

            // A permit without a slot is the last: nothing is under way when the queue closes.
            if (!_posted.TryDequeue(out SectorSlot? slot))
                return;

            BlockStatus status;
            do
            {
                status = Submit(slot.Take());
                if (status != BlockStatus.Pending && !slot.TrySettle())
                    status = BlockStatus.Pending;
            }
            while (status == BlockStatus.Okay && slot.HasNext);

            if (status != BlockStatus.Pending)
                Finish(slot, status);
        }
    }

    private BlockStatus Submit(in BlockIo io)
    {
        try
        {
            return _target.Submit(io);
        }
#pragma warning disable CA1031 // this thread has no one to catch it, and the guest gets its answer whatever a target throws
        catch (Exception)
#pragma warning restore CA1031
        {
            return BlockStatus.Error;
        }
    }

    // First the place is given up: with the result the slot is its owner's, who may use it again.
    private void Finish(SectorSlot slot, BlockStatus status)
    {
        _order.Leave(slot);
        _completions.Complete(slot.Index, status);
    }
}
