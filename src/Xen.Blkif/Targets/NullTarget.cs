namespace Xen.Blkif.Targets;

/// <summary>A disk that forgets: writes vanish, reads give zeros. It shows what everything around the storage costs.</summary>
/// <remarks>Reads are cleared rather than left as they are: a guest must never see what a buffer held before.</remarks>
public sealed class NullTarget : IBlockTarget
{
    /// <summary>Makes a disk.</summary>
    /// <param name="length">Its size in bytes, a multiple of 512.</param>
    /// <exception cref="ArgumentOutOfRangeException">The size is not a positive multiple of 512.</exception>
    public NullTarget(long length) => Info = new BlockTargetInfo(length) { Flush = Capability.Native, Discard = Capability.Native };

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
