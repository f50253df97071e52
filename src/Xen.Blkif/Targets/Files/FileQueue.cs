using System.Collections.Concurrent;
using System.Diagnostics;

namespace Xen.Blkif.Targets.Files;

/// <summary>Does requests that take no time itself, and hands the others to threads that may block, so that as many are under way at once.</summary>
internal sealed class FileQueue : IBlockQueue
{
    private readonly FileIo _file;
    private readonly IBlockCompletions _completions;
    private readonly HandOverPayoff _payoff = new();
    private readonly Thread[] _workers;

    // Its segments are reused while no more requests wait than once did: no allocation in steady state.
    private readonly ConcurrentQueue<BlockIo> _waiting = new();

    // One permit for each waiting request that may be started, and at the end one for each worker.
    private readonly SemaphoreSlim _ready = new(0);

    // By slot: when a request was handed over while every worker was idle; 0 where some were not, and the wait says nothing of waking.
    private readonly long[] _handedOver;
    private int _atWorkers;

    // Requests in the queue without a permit. Of the thread that owns the queue, like the flag.
    private int _held;
    private bool _plugged;

    public FileQueue(FileIo file, IBlockCompletions completions, int workers, int depth)
    {
        _file = file;
        _completions = completions;
        _handedOver = new long[depth];
        _workers = new Thread[workers];
        for (int i = 0; i < workers; i++)
        {
            _workers[i] = new Thread(Work) { IsBackground = true, Name = $"blkif file worker {i}" };
            _workers[i].Start();
        }
    }

    public BlockStatus Submit(in BlockIo io)
    {
        if (_workers.Length == 0 || !_payoff.Pays(io.Kind))
            return _payoff.WantsToKnowDuration() ? Measure(io, Stopwatch.GetTimestamp()) : _file.Do(io);

        _handedOver[io.Slot] = Interlocked.Increment(ref _atWorkers) == 1 && !_plugged ? Stopwatch.GetTimestamp() : 0;
        _waiting.Enqueue(io);
        if (_plugged)
            _held++;
        else
            _ready.Release();
        return BlockStatus.Pending;
    }

    public void Plug() => _plugged = true;

    public void Unplug()
    {
        _plugged = false;
        if (_held > 0)
            _ready.Release(_held);
        _held = 0;
    }

    public void Dispose()
    {
        if (_workers.Length > 0)
            _ready.Release(_workers.Length);
        foreach (Thread worker in _workers)
            worker.Join();
        _ready.Dispose();
    }

    private BlockStatus Measure(in BlockIo io, long started)
    {
        bool asks = _payoff.WantsToKnowSleep(io.Kind);
        long sleeps = asks ? LibC.SleepsOfThisThread() : 0;
        BlockStatus status = _file.Do(io);
        long ticks = Stopwatch.GetTimestamp() - started;
        _payoff.Took(io.Kind, ticks);
        if (asks)
            _payoff.Took(io.Kind, ticks, slept: sleeps < 0 || LibC.SleepsOfThisThread() != sleeps);
        return status;
    }

    private void Work()
    {
        while (true)
        {
            _ready.Wait();

            // A permit without a request is one of the last: nothing is under way when the queue closes.
            if (!_waiting.TryDequeue(out BlockIo io))
                return;

            long started = Stopwatch.GetTimestamp();
            if (_handedOver[io.Slot] is var handedOver and not 0)
                _payoff.Woke(started - handedOver);
            BlockStatus status = Measure(io, started);

            // Before the result shows: with it the owner may submit again, and find every worker idle.
            Interlocked.Decrement(ref _atWorkers);
            _completions.Complete(io.Slot, status);
        }
    }
}
