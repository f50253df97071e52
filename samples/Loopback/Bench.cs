using System.Diagnostics;
using Xen.Blkif.Engine;
using Xen.Blkif.Protocol;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Samples.Loopback;

/// <summary>A closed loop: as many requests under way as the depth, each followed by the next, for some seconds.</summary>
internal sealed class Bench(Session session, string protocol, LoopbackOptions options, IProgress<double> progress)
{
    private static readonly double NanosecondsPerTick = 1e9 / Stopwatch.Frequency;

    private readonly FrontendQueue _queue = session.Frontend.Queue;
    private readonly long[] _offsets = new long[session.Frontend.Queue.Depth];
    private readonly long[] _started = new long[session.Frontend.Queue.Depth];
    private readonly LatencyHistogram _latency = new();
    private readonly Random _random = new(1);
    private readonly long _blocks = session.Frontend.Length / options.BlockSize;
    private long _next;

    private bool IsWrite => options.Pattern is Pattern.RandWrite or Pattern.Write;

    private bool IsRandom => options.Pattern is Pattern.RandRead or Pattern.RandWrite;

    public Measurement Run(double seconds)
    {
        if (IsWrite)
            FillBuffers();

        string name = options.Pattern.ToString().ToLowerInvariant();
        return Measurement.Take(session, protocol, name, s => IsWrite ? s.Writes : s.Reads, clock =>
        {
            clock.Start();
            Loop((long)(seconds * Stopwatch.Frequency));
            clock.Stop();
            return null;
        }) with { Latency = _latency };
    }

    private void Loop(long duration)
    {
        long start = Stopwatch.GetTimestamp();
        long now = start;
        int underWay = 0;
        for (int slot = 0; slot < _queue.Depth; slot++, underWay++)
            Put(slot, now);

        while (underWay > 0)
        {
            _queue.Push();
            _ = _queue.Wait();
            now = Stopwatch.GetTimestamp();
            progress.Report((double)(now - start) / duration);
            while (_queue.TryTake(out FrontendCompletion completion))
            {
                int slot = (int)completion.Id;
                if (completion.Status != BlkifStatus.Okay)
                    throw new BlkifRequestException(completion.Operation, completion.Status, _offsets[slot], options.BlockSize);

                _latency.Record((long)((now - _started[slot]) * NanosecondsPerTick));
                if (now - start < duration)
                    Put(slot, now);
                else
                    underWay--;
            }
        }
    }

    private void Put(int slot, long now)
    {
        long block = IsRandom ? _random.NextInt64(_blocks) : _next++ % _blocks;
        _started[slot] = now;
        _offsets[slot] = block * options.BlockSize;
        _queue.Put(IsWrite ? BlkifOperation.Write : BlkifOperation.Read, slot, (ulong)(block * options.BlockSize / BlkifLimits.SectorSize), options.BlockSize);
    }

    private void FillBuffers()
    {
        for (int slot = 0; slot < _queue.Depth; slot++)
            _random.NextBytes(_queue.Buffer(slot));
    }
}
