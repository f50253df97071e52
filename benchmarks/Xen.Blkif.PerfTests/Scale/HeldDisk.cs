using Xen.Blkif.Targets;

namespace Xen.Blkif.PerfTests.Scale;

/// <summary>A disk of nothing that can keep its requests under way for as long as one wants to look at them.</summary>
internal sealed class HeldDisk : IBlockTarget
{
    private readonly NullTarget _nothing;
    private readonly Lock _gate = new();
    private readonly List<(IBlockCompletions Owner, int Slot)> _held = [];
    private bool _holds;

    /// <param name="length">Its size in bytes.</param>
    public HeldDisk(long length) => _nothing = new NullTarget(length);

    public BlockTargetInfo Info => _nothing.Info;

    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) => new Queue(this, completions);

    /// <summary>Completes no request from now on.</summary>
    public void Hold()
    {
        lock (_gate)
            _holds = true;
    }

    /// <summary>Waits until so many requests are under way, each of which has touched all of its memory.</summary>
    /// <exception cref="InvalidOperationException">They did not come.</exception>
    public void WaitFor(int requests, TimeSpan patience)
    {
        if (!SpinWait.SpinUntil(() => Held() >= requests, patience))
            throw new InvalidOperationException($"{Held()} requests are under way, not {requests}.");
    }

    /// <summary>Completes what is under way, and whatever comes.</summary>
    public void Release()
    {
        lock (_gate)
        {
            _holds = false;
            foreach ((IBlockCompletions owner, int slot) in _held)
                owner.Complete(slot, BlockStatus.Okay);
            _held.Clear();
        }
    }

    public ValueTask DisposeAsync() => _nothing.DisposeAsync();

    private int Held()
    {
        lock (_gate)
            return _held.Count;
    }

    private BlockStatus Keep(IBlockCompletions owner, int slot)
    {
        lock (_gate)
        {
            if (!_holds)
                return BlockStatus.Okay;
            _held.Add((owner, slot));
            return BlockStatus.Pending;
        }
    }

    private sealed class Queue(HeldDisk disk, IBlockCompletions completions) : IBlockQueue
    {
        private readonly IBlockQueue _nothing = disk._nothing.OpenQueue(1, completions);

        public BlockStatus Submit(in BlockIo io) =>
            _nothing.Submit(io) is var status and not BlockStatus.Okay ? status : disk.Keep(completions, io.Slot);

        public void Plug() => _nothing.Plug();

        public void Unplug() => _nothing.Unplug();

        public void Dispose() => _nothing.Dispose();
    }
}
