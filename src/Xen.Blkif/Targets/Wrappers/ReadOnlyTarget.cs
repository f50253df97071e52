namespace Xen.Blkif.Targets;

/// <summary>Any target, read-only. Writes and discards fail even where a queue is asked for them past the parser.</summary>
public sealed class ReadOnlyTarget : IBlockTarget
{
    private readonly IBlockTarget _inner;

    /// <summary>Wraps a target, which is disposed with this.</summary>
    /// <param name="inner">The target.</param>
    public ReadOnlyTarget(IBlockTarget inner) => _inner = inner;

    /// <inheritdoc/>
    public BlockTargetInfo Info => _inner.Info with { ReadOnly = true, Discard = Capability.None, ErasesSecurely = false };

    /// <inheritdoc/>
    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) => new Queue(_inner.OpenQueue(depth, completions));

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _inner.DisposeAsync();

    private sealed class Queue(IBlockQueue inner) : QueueDecorator(inner)
    {
        public override BlockStatus Submit(in BlockIo io) =>
            io.Kind is BlockIoKind.Write or BlockIoKind.Discard or BlockIoKind.SecureDiscard ? BlockStatus.Error : Inner.Submit(io);
    }
}
