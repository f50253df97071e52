using System.Diagnostics;
using Xen.Blkif.IoUring.Kernel;
using Xen.Blkif.Targets;
using Xen.Blkif.Targets.Files;

namespace Xen.Blkif.IoUring.Queues;

/// <summary>Does on the spot what the page cache does in less time than the ring takes.</summary>
/// <remarks>
/// A read of what is in memory, and a write to it, are a copy. The ring makes the same copy of a read, for twice the price where the read is
/// alone, and for a little less where others share its call. Writes it hands to another thread on most file systems, for two to five times
/// the price. So both are tried on the spot, but no read that is held together with others, for as long as that comes off.
/// </remarks>
internal sealed unsafe class InlineIo(PositionalFile file, FileIo io, int descriptor)
{
    // A write that takes longer waited: for the storage, or for others. Twenty times a copy, and not much more than a hand-over.
    private static readonly long LongestWrite = Stopwatch.Frequency / 20_000;

    private InlineChance _reads;
    private InlineChance _writes;

    /// <summary>Tries a request.</summary>
    /// <param name="request">The request.</param>
    /// <param name="plugged">Whether others share its call.</param>
    /// <param name="done">Bytes that were read, all but for the rest of which the ring is to be asked; 0 where nothing was done.</param>
    /// <returns>How it went; <see cref="BlockStatus.Pending"/> where it is for the ring.</returns>
    public BlockStatus Do(in BlockIo request, bool plugged, out long done)
    {
        done = 0;
        if (file.IsDirect)
            return BlockStatus.Pending;
        return request.Kind switch
        {
            BlockIoKind.Read when !plugged && _reads.TakeTurn() => Read(request, out done),
            BlockIoKind.Write when _writes.TakeTurn() => Write(request),
            _ => BlockStatus.Pending,
        };
    }

    private BlockStatus Read(in BlockIo request, out long done)
    {
        ReadOnlySpan<IoVector> vectors = request.Vectors;
        int read;
        fixed (IoVector* first = vectors)
            read = Interop.ReadWithoutWaiting(descriptor, first, Math.Min(vectors.Length, LibC.MostVectors), request.Offset);

        // Whatever went wrong, the ring meets it too, and says so.
        done = Math.Max(read, 0);
        bool all = done == request.Length;
        _reads.Learn(all);
        return all ? BlockStatus.Okay : BlockStatus.Pending;
    }

    private BlockStatus Write(in BlockIo request)
    {
        long started = Stopwatch.GetTimestamp();
        BlockStatus status = io.Do(request);
        _writes.Learn(Stopwatch.GetTimestamp() - started < LongestWrite);
        return status;
    }
}
