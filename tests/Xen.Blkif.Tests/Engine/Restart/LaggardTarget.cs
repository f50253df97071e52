using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Engine.Restart;

/// <summary>A target that leaves every request lying until it is told to do some: the newest first, so that nothing is answered in order.</summary>
internal sealed class LaggardTarget(IBlockTarget disk) : IBlockTarget, IBlockQueue
{
    private readonly Stack<BlockIo> _waiting = new();
    private IBlockCompletions _completions = null!;
    private IBlockQueue _queue = null!;
    private bool _dead;

    public BlockTargetInfo Info => disk.Info;

    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions)
    {
        _completions = completions;
        _queue = disk.OpenQueue(depth, completions);
        return this;
    }

    public BlockStatus Submit(in BlockIo io)
    {
        lock (_waiting)
            _waiting.Push(io);
        return BlockStatus.Pending;
    }

    /// <summary>Does the newest requests.</summary>
    /// <returns>Whether there was one.</returns>
    public bool DoNewest(int count)
    {
        bool any = false;
        for (; count > 0; count--)
        {
            lock (_waiting)
            {
                if (_dead || !_waiting.TryPop(out BlockIo io))
                    break;
                _completions.Complete(io.Slot, _queue.Submit(io));
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

    public void Plug()
    {
        // All is held back.
    }

    public void Unplug()
    {
        // All is held back.
    }

    public void Dispose() => _queue.Dispose();

    public ValueTask DisposeAsync() => default;
}
