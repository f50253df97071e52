using Xen.Blkif.Memory;

namespace Xen.Blkif.Targets;

/// <summary>A disk in memory. What is not written yet reads as zeros and costs nothing.</summary>
/// <remarks>Requests complete at once. Flushes and discards are native: nothing is more lasting here, and a discarded range reads as zeros.</remarks>
public sealed class MemoryTarget : IBlockTarget
{
    private readonly NativeBuffer _bytes;

    /// <summary>Makes a disk of zeros.</summary>
    /// <param name="length">Its size in bytes, a multiple of the sector size.</param>
    /// <param name="sectorSize">The logical sector size in bytes: 512, 1024, 2048 or 4096.</param>
    /// <exception cref="ArgumentOutOfRangeException">The size is not a positive multiple of 512, or the sector size is none of the four.</exception>
    /// <exception cref="InvalidOperationException">The size is not a multiple of the sector size.</exception>
    /// <exception cref="OutOfMemoryException">There is not that much memory.</exception>
    public MemoryTarget(long length, int sectorSize = 512)
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
        _bytes = new NativeBuffer(length);
    }

    /// <inheritdoc/>
    public BlockTargetInfo Info { get; }

    /// <summary>Reads straight from the disk's memory, past any queue. Not ordered with requests under way.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="destination">Filled.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the disk.</exception>
    public void CopyTo(long offset, Span<byte> destination) => _bytes.Slice(offset, destination.Length).CopyTo(destination);

    /// <summary>Writes straight into the disk's memory, past any queue. Not ordered with requests under way.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="source">What to write.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the disk.</exception>
    public void CopyFrom(long offset, ReadOnlySpan<byte> source) => source.CopyTo(_bytes.Slice(offset, source.Length));

    /// <inheritdoc/>
    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) => new Queue(_bytes);

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _bytes.Dispose();
        return default;
    }

    private sealed class Queue(NativeBuffer bytes) : InlineQueue
    {
        public override BlockStatus Submit(in BlockIo io)
        {
            long offset = io.Offset;
            switch (io.Kind)
            {
                case BlockIoKind.Read:
                    foreach (IoVector vector in io.Vectors)
                    {
                        bytes.Slice(offset, (int)vector.Length).CopyTo(vector.Span);
                        offset += vector.Length;
                    }

                    break;

                case BlockIoKind.Write:
                    foreach (IoVector vector in io.Vectors)
                    {
                        vector.Span.CopyTo(bytes.Slice(offset, (int)vector.Length));
                        offset += vector.Length;
                    }

                    break;

                case BlockIoKind.Discard:
                    bytes.Slice(offset, (int)io.Length).Clear();
                    break;
            }

            return BlockStatus.Okay;
        }
    }
}
