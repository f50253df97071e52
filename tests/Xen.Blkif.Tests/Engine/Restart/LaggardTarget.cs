using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Engine.Restart;

/// <summary>A target that leaves every request lying until it is told to do some: the newest first, so that nothing is answered in order.</summary>
internal sealed class LaggardTarget(IBlockTarget disk) : IBlockTarget
{
    private readonly Stack<(Queue Queue, BlockIo Io)> _waiting = new();
    private bool _dead;

    public BlockTargetInfo Info => disk.Info;

    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) => new Queue(this, disk.OpenQueue(depth, completions), completions);

    /// <summary>Does the newest requests, of whichever queue.</summary>
    /// <returns>Whether there was one.</returns>
    public bool DoNewest(int count)
    {
        bool any = false;
        for (; count > 0; count--)
        {
            lock (_waiting)
            {
                if (_dead || !_waiting.TryPop(out (Queue Queue, BlockIo Io) next))
                    break;
                next.Queue.Do(next.Io);
                any = true;
            }
        }

        return any;
    }

    /// <summary>What waits is never done.</summary>
    public void Die()
    {
        lock (_waiting)
            _dead = true;
    }

    public ValueTask DisposeAsync() => default;

    private sealed class Queue(LaggardTarget target, IBlockQueue queue, IBlockCompletions completions) : IBlockQueue
    {
        public BlockStatus Submit(in BlockIo io)
        {
            lock (target._waiting)
                target._waiting.Push((this, io));
            return BlockStatus.Pending;
        }

        public void Do(in BlockIo io) => completions.Complete(io.Slot, queue.Submit(io));

        public void Plug()
        {
            // All is held back.
        }

        public void Unplug()
        {
            // All is held back.
        }

        public void Dispose() => queue.Dispose();
    }
}
