using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Backend;

/// <summary>A disk in memory whose size a test changes, and which remembers how far requests went.</summary>
internal sealed class ElasticTarget : IBlockTarget
{
    private readonly FaultTarget _disk;
    private long _length;
    private long _reached;

    public ElasticTarget(long length, long capacity)
    {
        _length = length;
        _disk = new FaultTarget(new MemoryTarget(capacity), Remember);
    }

    public long Length
    {
        get => Volatile.Read(ref _length);
        set => Volatile.Write(ref _length, value);
    }

    /// <summary>The end of the request that went furthest.</summary>
    public long Reached => Volatile.Read(ref _reached);

    public int LogicalSectorSize { get; init; } = 512;

    /// <summary>What the target throws instead of describing itself.</summary>
    public Exception? Trouble { get; set; }

    public BlockTargetInfo Info => Trouble is null
        ? _disk.Info with { Length = Length, LogicalSectorSize = LogicalSectorSize, PhysicalSectorSize = 4096, DiscardGranularity = 4096 }
        : throw Trouble;

    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) => _disk.OpenQueue(depth, completions);

    public ValueTask DisposeAsync() => _disk.DisposeAsync();

    private BlockStatus Remember(in BlockIo io)
    {
        Volatile.Write(ref _reached, Math.Max(Reached, io.Offset + io.Length));
        return BlockStatus.Okay;
    }
}
