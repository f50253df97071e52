using System.Collections.Concurrent;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Engine;

/// <summary>
/// A disk that answers late, from threads of its own, in any order, and looks at the order in which it is asked. A request's place on the disk
/// says whose it is: the queue, its number there, and whether it is a barrier.
/// </summary>
internal sealed class OrderTarget : IBlockTarget
{
    private const int QueueBits = 40, BarrierBit = 39, NumberShift = 12;

    private readonly BlockingCollection<(BlockIo Io, IBlockCompletions Completions)> _work = [];
    private readonly Thread[] _threads;
    private readonly object _gate = new();
    private readonly Random _random;
    private readonly List<string> _violations = [];

    // By queue: numbers of the transfers that began, and of those that are done.
    private readonly Dictionary<long, HashSet<long>> _begun = [];
    private readonly Dictionary<long, HashSet<long>> _done = [];
    private int _underWay;
    private bool _flushedLast;
    private long? _barrier;

    public OrderTarget(int queues, int seed)
    {
        _random = new Random(seed);
        for (long queue = 0; queue < queues; queue++)
            (_begun[queue], _done[queue]) = ([], []);
        _threads = new Thread[4];
        for (int i = 0; i < _threads.Length; i++)
        {
            _threads[i] = new Thread(Work) { IsBackground = true };
            _threads[i].Start();
        }
    }

    public int Barriers { get; private set; }

    public BlockTargetInfo Info { get; } = new(1L << 50) { Flush = Capability.Native, Discard = Capability.Native };

    public string[] Violations()
    {
        lock (_gate)
            return [.. _violations];
    }

    /// <summary>Where a request is written that is to be known again.</summary>
    public static ulong Sector(int queue, int number, bool isBarrier) =>
        (((ulong)queue << QueueBits) | (isBarrier ? 1UL << BarrierBit : 0) | ((ulong)number << NumberShift)) / 512;

    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) => new Queue(this, completions);

    public ValueTask DisposeAsync()
    {
        _work.CompleteAdding();
        foreach (Thread thread in _threads)
            thread.Join();
        _work.Dispose();
        return default;
    }

    private void Work()
    {
        foreach ((BlockIo io, IBlockCompletions completions) in _work.GetConsumingEnumerable())
        {
            int spins;
            lock (_gate)
                spins = _random.Next(3) == 0 ? _random.Next(2_000) : 0;
            Thread.SpinWait(spins);
            lock (_gate)
                End(io);
            completions.Complete(io.Slot, BlockStatus.Okay);
        }
    }

    private void Begin(in BlockIo io)
    {
        if (_barrier is { } holder && io.Kind != BlockIoKind.Flush)
            _violations.Add($"{io.Kind} at {io.Offset:x} began before the barrier at {holder:x} was done");
        _underWay++;
        if (io.Kind == BlockIoKind.Flush)
            return;

        (long queue, bool isBarrier, long number) = Decode(io.Offset);
        _begun[queue].Add(number);
        if (isBarrier)
            BeginBarrier(io, queue, number);
    }

    private void BeginBarrier(in BlockIo io, long queue, long number)
    {
        Barriers++;
        _barrier = io.Offset;
        if (_underWay != 1)
            _violations.Add($"{_underWay - 1} requests were under way when the barrier at {io.Offset:x} was written");
        if (!_flushedLast)
            _violations.Add($"no flush came right before the barrier at {io.Offset:x}");
        for (long earlier = 0; earlier < number; earlier++)
        {
            if (_begun[queue].Contains(earlier) != _done[queue].Contains(earlier))
                _violations.Add($"request {earlier} was not done before barrier {number} of queue {queue}");
        }

        if (_begun[queue].Any(other => other > number))
            _violations.Add($"a later request began before barrier {number} of queue {queue}");
    }

    private void End(in BlockIo io)
    {
        _underWay--;
        if (io.Kind == BlockIoKind.Flush)
        {
            // The flush behind a barrier's write is its last part: nothing else can be asked for between.
            if (_barrier is { } offset && _done[Decode(offset).Queue].Contains(Decode(offset).Number))
                _barrier = null;
            _flushedLast = true;
            return;
        }

        _flushedLast = false;
        (long queue, _, long number) = Decode(io.Offset);
        _done[queue].Add(number);
    }

    private static (long Queue, bool IsBarrier, long Number) Decode(long offset) =>
        (offset >> QueueBits, ((offset >> BarrierBit) & 1) != 0, (offset & ((1L << BarrierBit) - 1)) >> NumberShift);

    private sealed class Queue(OrderTarget target, IBlockCompletions completions) : IBlockQueue
    {
        public BlockStatus Submit(in BlockIo io)
        {
            lock (target._gate)
                target.Begin(io);
            target._work.Add((io, completions));
            return BlockStatus.Pending;
        }

        public void Plug()
        {
            // Nothing is held back.
        }

        public void Unplug()
        {
            // Nothing was held back.
        }

        public void Dispose()
        {
            // What works is the target's.
        }
    }
}
