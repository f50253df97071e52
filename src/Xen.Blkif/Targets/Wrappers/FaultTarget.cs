namespace Xen.Blkif.Targets;

/// <summary>Decides the fate of a request before it reaches a target. Called on the threads of the queues, several at once.</summary>
/// <param name="io">The request.</param>
/// <returns>A failure that the request then meets, or <see cref="BlockStatus.Okay"/> to let it pass.</returns>
public delegate BlockStatus FaultRule(in BlockIo io);

/// <summary>Any target, of which chosen requests fail: to see what a guest makes of a failing disk.</summary>
public sealed class FaultTarget : IBlockTarget
{
    private readonly IBlockTarget _inner;
    private readonly FaultRule _rule;

    /// <summary>Wraps a target, which is disposed with this.</summary>
    /// <param name="inner">The target.</param>
    /// <param name="rule">Which requests fail.</param>
    public FaultTarget(IBlockTarget inner, FaultRule rule)
    {
        _inner = inner;
        _rule = rule;
    }

    /// <inheritdoc/>
    public BlockTargetInfo Info => _inner.Info;

    /// <inheritdoc/>
    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) => new Queue(_inner.OpenQueue(depth, completions), _rule);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _inner.DisposeAsync();

    private sealed class Queue(IBlockQueue inner, FaultRule rule) : QueueDecorator(inner)
    {
        public override BlockStatus Submit(in BlockIo io)
        {
            BlockStatus fate = rule(io);
            return fate switch
            {
                BlockStatus.Okay => Inner.Submit(io),
                BlockStatus.Pending => throw new InvalidOperationException("A fault rule says Okay or a failure: no one would complete what it leaves pending."),
                _ => fate,
            };
        }
    }
}
