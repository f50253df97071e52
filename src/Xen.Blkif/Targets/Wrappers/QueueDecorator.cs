namespace Xen.Blkif.Targets;

/// <summary>A queue before another one, which plugs, unplugs and closes with it.</summary>
internal abstract class QueueDecorator(IBlockQueue inner) : IBlockQueue
{
    protected IBlockQueue Inner { get; } = inner;

    /// <inheritdoc/>
    public abstract BlockStatus Submit(in BlockIo io);

    /// <inheritdoc/>
    public void Plug() => Inner.Plug();

    /// <inheritdoc/>
    public void Unplug() => Inner.Unplug();

    /// <inheritdoc/>
    public virtual void Dispose() => Inner.Dispose();
}
