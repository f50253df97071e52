using System.Diagnostics;
using Xen.Blkif.IoUring.Kernel;
using Xen.Blkif.Targets;
using Xen.Blkif.Targets.Files;

namespace Xen.Blkif.IoUring.Queues;

/// <summary>Does on the spot what is done there in less time than the ring takes.</summary>
/// <remarks>
/// A read of what is in memory, and a write to it, are a copy. The ring makes the same copy of a read, for twice the price where the read is
/// alone, and for a little less where others share its call. Writes it hands to another thread on most file systems, for two to five times
/// the price. So both are tried on the spot, but no read that is held together with others, for as long as that comes off. Past the page
/// cache, a request is done on the spot where the ring had the result of several at once: RAM disks compute, and have nothing to wait for.
/// </remarks>
internal sealed unsafe class InlineIo(PositionalFile file, FileIo io, int descriptor)
{
    // So many results in a row, each there when the call returned that took the request alone, are no coincidence.
    private const int EnoughAtOnce = 8;

    // To look at the clock takes time too: of requests that may wait, and did not, one in so many is measured.
    private const int MeasuredEvery = 4;

    // One that takes longer waited: for the storage, or for others. Twenty times a copy of a page, and not much more than a hand-over.
    private static readonly long LongestCall = Stopwatch.Frequency / 20_000;

    private readonly bool _isDirect = file.IsDirect;
    private InlineChance _reads;
    private InlineChance _writes;
    private InlineChance _transfers;
    private int _atOnce;
    private int _unmeasured;

    /// <summary>Tries a request.</summary>
    /// <param name="request">The request.</param>
    /// <param name="plugged">Whether others share its call.</param>
    /// <param name="done">Bytes that were read, all but for the rest of which the ring is to be asked; 0 where nothing was done.</param>
    /// <returns>How it went; <see cref="BlockStatus.Pending"/> where it is for the ring.</returns>
    public BlockStatus Do(in BlockIo request, bool plugged, out long done)
    {
        done = 0;
        if (_isDirect && _atOnce < EnoughAtOnce)
            return BlockStatus.Pending;
        return request.Kind switch
        {
            BlockIoKind.Read or BlockIoKind.Write when _isDirect => _transfers.TakeTurn() ? Call(request, ref _transfers) : BlockStatus.Pending,
            BlockIoKind.Read when !plugged && _reads.TakeTurn() => Read(request, out done),
            BlockIoKind.Write when _writes.TakeTurn() => Call(request, ref _writes),
            _ => BlockStatus.Pending,
        };
    }

    /// <summary>Learns whether the result of a request was there when the call returned that took it alone.</summary>
    public void Came(bool atOnce) => _atOnce = atOnce ? Math.Min(_atOnce + 1, EnoughAtOnce) : 0;

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

    private BlockStatus Call(in BlockIo request, ref InlineChance chance)
    {
        if (_unmeasured-- > 0)
            return io.Do(request);

        long started = Stopwatch.GetTimestamp();
        BlockStatus status = io.Do(request);

        // A gigabyte in a second is slow for a copy, and quick for what waits.
        bool cameOff = Stopwatch.GetTimestamp() - started < LongestCall + (request.Length * Stopwatch.Frequency / (1L << 30));
        chance.Learn(cameOff);
        _unmeasured = cameOff ? MeasuredEvery - 1 : 0;
        return status;
    }
}
