namespace Xen.Blkif.Targets.Async;

/// <summary>Turns the calls of a ring into those of an <see cref="AsyncBlockTarget"/>, and its tasks into completions.</summary>
internal sealed class AsyncQueue : IBlockQueue
{
    private readonly AsyncSlot[] _slots;

    public AsyncQueue(AsyncBlockTarget target, int depth, IBlockCompletions completions)
    {
        _slots = new AsyncSlot[depth];
        for (int i = 0; i < depth; i++)
            _slots[i] = new AsyncSlot(target, completions);
    }

    /// <inheritdoc/>
    public BlockStatus Submit(in BlockIo io) => _slots[io.Slot].Start(io);

    /// <inheritdoc/>
    public void Plug()
    {
        // Each request is a call of its own: there is nothing to start together.
    }

    /// <inheritdoc/>
    public void Unplug()
    {
        // As above.
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // What the queue works on is the target's.
    }
}
