using Xen.Blkif.Protocol;
using Xen.Blkif.Targets.Sectors;

namespace Xen.Blkif.Targets;

/// <summary>Any target with sectors of up to 4096 bytes, as a disk with sectors of 512: for guests and images that know no other.</summary>
/// <remarks>
/// Whole blocks pass straight through. Of a block that a guest writes in part the rest is read first and written with it; writes that touch
/// such a block, from whichever queue, go one after the other, so that neighbouring sectors do not lose each other's bytes. Nothing but the
/// target may write to the storage meanwhile. Discards are rounded inwards to whole blocks. Each queue has a thread, and two queues of the
/// target. A target with sectors of 512 bytes is passed through as it is.
/// </remarks>
public sealed class Emulated512Target : IBlockTarget
{
    private readonly IBlockTarget _inner;
    private readonly BlockOrder _order = new();

    /// <summary>Wraps a target, which is disposed with this.</summary>
    /// <param name="inner">The target. Its logical sector size is asked for when a queue is opened.</param>
    public Emulated512Target(IBlockTarget inner) => _inner = inner;

    /// <summary>What the target says, with logical sectors of 512 bytes in its physical ones.</summary>
    public BlockTargetInfo Info
    {
        get
        {
            BlockTargetInfo info = _inner.Info;
            if (info.LogicalSectorSize == BlkifLimits.SectorSize)
                return info;
            return info with
            {
                LogicalSectorSize = BlkifLimits.SectorSize,
                PhysicalSectorSize = Math.Max(info.PhysicalSectorSize, info.LogicalSectorSize),
                DiscardGranularity = Math.Max(info.DiscardGranularity, info.LogicalSectorSize),

                // What cannot be erased in part is not to be said to be erased.
                ErasesSecurely = false,
            };
        }
    }

    /// <inheritdoc/>
    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions)
    {
        int block = _inner.Info.LogicalSectorSize;
        return block == BlkifLimits.SectorSize ? _inner.OpenQueue(depth, completions) : new SectorQueue(_inner, block, _order, depth, completions);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _inner.DisposeAsync();
}
