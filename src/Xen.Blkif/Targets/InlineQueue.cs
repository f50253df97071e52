namespace Xen.Blkif.Targets;

/// <summary>A queue whose requests are done when <see cref="Submit"/> returns, so that there is nothing to hold back or to wait for.</summary>
/// <remarks>For storage in memory. The engine expects no completion from it: what it is not done with at once has failed.</remarks>
public abstract class InlineQueue : IBlockQueue
{
    /// <inheritdoc/>
    public abstract BlockStatus Submit(in BlockIo io);

    /// <inheritdoc/>
    public void Plug()
    {
        // Nothing is held back.
    }

    /// <inheritdoc/>
    public void Unplug()
    {
        // Nothing was held back.
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // What the queue works on is the target's.
        GC.SuppressFinalize(this);
    }
}
