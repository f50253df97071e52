using System.Collections.Concurrent;
using System.Diagnostics;

namespace Xen.Blkif.Targets;

/// <summary>Any target, slower: each request takes a fixed time more, and as many wait at once as there are.</summary>
public sealed class DelayTarget : IBlockTarget
{
    private readonly IBlockTarget _inner;
    private readonly TimeSpan _delay;

    /// <summary>Wraps a target, which is disposed with this.</summary>
    /// <param name="inner">The target.</param>
    /// <param name="delay">What each request takes longer.</param>
    /// <exception cref="ArgumentOutOfRangeException">The delay is negative or longer than a minute.</exception>
    public DelayTarget(IBlockTarget inner, TimeSpan delay)
    {
        if (delay < TimeSpan.Zero || delay > TimeSpan.FromMinutes(1))
            throw new ArgumentOutOfRangeException(nameof(delay), delay, "A delay is not negative and at most a minute.");
        _inner = inner;
        _delay = delay;
    }

    /// <inheritdoc/>
    public BlockTargetInfo Info => _inner.Info;

    /// <inheritdoc/>
    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions)
    {
        var late = new LateCompletions(completions, _delay);
        try
        {
            return new Queue(_inner.OpenQueue(depth, late), late);
        }
        catch
        {
            late.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _inner.DisposeAsync();

    private sealed class Queue(IBlockQueue inner, LateCompletions late) : QueueDecorator(inner)
    {
        public override BlockStatus Submit(in BlockIo io)
        {
            BlockStatus status = Inner.Submit(io);
            if (status != BlockStatus.Pending)
                late.Complete(io.Slot, status);
            return BlockStatus.Pending;
        }

        public override void Dispose()
        {
            base.Dispose();
            late.Dispose();
        }
    }

    /// <summary>Passes results on when their time has come. All wait equally long, so that the first in is the first out.</summary>
    private sealed class LateCompletions : IBlockCompletions, IDisposable
    {
        private readonly BlockingCollection<(int Slot, BlockStatus Status, long Due)> _waiting = [];
        private readonly IBlockCompletions _completions;
        private readonly long _delay;
        private readonly Thread _thread;

        public LateCompletions(IBlockCompletions completions, TimeSpan delay)
        {
            _completions = completions;
            _delay = (long)(delay.TotalSeconds * Stopwatch.Frequency);
            _thread = new Thread(Pass) { IsBackground = true, Name = "blkif delay" };
            _thread.Start();
        }

        public void Complete(int slot, BlockStatus status) => _waiting.Add((slot, status, Stopwatch.GetTimestamp() + _delay));

        public void Dispose()
        {
            _waiting.CompleteAdding();
            _thread.Join();
            _waiting.Dispose();
        }

        private void Pass()
        {
            foreach ((int slot, BlockStatus status, long due) in _waiting.GetConsumingEnumerable())
            {
                WaitUntil(due);
                _completions.Complete(slot, status);
            }
        }

        // Timers have whole milliseconds and may fire a little early: the time is rounded up, and looked at again.
        private static void WaitUntil(long due)
        {
            for (long left = due - Stopwatch.GetTimestamp(); left > 0; left = due - Stopwatch.GetTimestamp())
                Task.Delay((int)Math.Ceiling(left * 1000.0 / Stopwatch.Frequency)).GetAwaiter().GetResult();
        }
    }
}
