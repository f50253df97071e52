namespace Xen.Blkif.Targets;

/// <summary>A disk that forgets: writes vanish, reads give zeros. It shows what everything around the storage costs.</summary>
/// <remarks>Reads are cleared rather than left as they are: a guest must never see what a buffer held before.</remarks>
public sealed class NullTarget : IBlockTarget
{
    /// <summary>Makes a disk.</summary>
    /// <param name="length">Its size in bytes, a multiple of the sector size.</param>
    /// <param name="sectorSize">The logical sector size in bytes: 512, 1024, 2048 or 4096.</param>
    /// <exception cref="ArgumentOutOfRangeException">The size is not a positive multiple of 512, or the sector size is none of the four.</exception>
    /// <exception cref="InvalidOperationException">The size is not a multiple of the sector size.</exception>
    public NullTarget(long length, int sectorSize = 512)
    {
        Info = new BlockTargetInfo(length)
        {
            LogicalSectorSize = sectorSize,
            PhysicalSectorSize = sectorSize,
            Flush = Capability.Native,
            Discard = Capability.Native,
            DiscardGranularity = sectorSize,
        };
        Info.Validate();
    }

    /// <inheritdoc/>
    public BlockTargetInfo Info { get; }

    /// <inheritdoc/>
    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) => new Queue();

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => default;

    private sealed class Queue : InlineQueue
    {
        public override BlockStatus Submit(in BlockIo io)
        {
            if (io.Kind == BlockIoKind.Read)
            {
                foreach (IoVector vector in io.Vectors)
                    vector.Span.Clear();
            }

            return BlockStatus.Okay;
        }
    }
}
