using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

/// <summary>A target of which the end is not used: for disks of whole blocks in contracts of disks that have none.</summary>
internal sealed class ShorterTarget(IBlockTarget inner, long length) : IBlockTarget
{
    public BlockTargetInfo Info => inner.Info with { Length = length };

    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) => inner.OpenQueue(depth, completions);

    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
