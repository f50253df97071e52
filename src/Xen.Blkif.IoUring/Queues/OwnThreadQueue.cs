using System.Collections.Concurrent;
using Xen.Blkif.Targets;

namespace Xen.Blkif.IoUring.Queues;

/// <summary>A queue for owners that do not wait in it: a thread does, which gets their requests and brings the results.</summary>
internal sealed class OwnThreadQueue : IBlockQueue
{
    private readonly IWaitableQueue _queue;
    private readonly IBlockCompletions _completions;
    private readonly Doorbell _doorbell;
    private readonly Thread _thread;

    // Its segments are reused while no more requests wait than once did: no allocation in steady state.
    private readonly ConcurrentQueue<BlockIo> _waiting = new();
    private volatile bool _closing;
    private volatile bool _failed;
    private int _asleep;
    private bool _plugged;
    private bool _held;

    /// <summary>Starts the thread. The queue and its doorbell go with this.</summary>
    public OwnThreadQueue(IWaitableQueue queue, IBlockCompletions completions, Doorbell doorbell)
    {
        _queue = queue;
        _completions = completions;
        _doorbell = doorbell;
        _thread = new Thread(Work) { IsBackground = true, Name = "blkif io_uring" };
        _thread.Start();
    }

    /// <inheritdoc/>
    public BlockStatus Submit(in BlockIo io)
    {
        _waiting.Enqueue(io);
        if (_failed)
            FailWaiting();
        else if (_plugged)
            _held = true;
        else
            Ring();
        return BlockStatus.Pending;
    }

    /// <inheritdoc/>
    public void Plug() => _plugged = true;

    /// <inheritdoc/>
    public void Unplug()
    {
        _plugged = false;
        if (_held)
            Ring();
        _held = false;
    }

    public void Dispose()
    {
        _closing = true;
        Ring();
        _thread.Join();
        _queue.Dispose();
        _doorbell.Dispose();
    }

    private void Ring()
    {
        // Full fence: the request is in before this looks whether the thread sleeps. Pairs with that in Serve.
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _asleep) != 0 && Interlocked.Exchange(ref _asleep, 0) != 0)
            _doorbell.Ring();
    }

    private void Work()
    {
        try
        {
            Serve();
        }
        catch (IOException)
        {
            // The kernel does not let this thread wait any more. What it has may still be written to, and is never answered.
            _failed = true;

            // Full fence: a request that is put in now finds the queue failed, or is found here. Pairs with the exchange that puts it in.
            Interlocked.MemoryBarrier();
            FailWaiting();
        }
    }

    // Nothing is under way when the queue closes.
    private void Serve()
    {
        while (!_closing)
        {
            Volatile.Write(ref _asleep, 0);
            _queue.Reap();
            StartWaiting();

            // Full fence: it is said that the thread sleeps before it looks for requests a last time. Pairs with that in Ring.
            Interlocked.Exchange(ref _asleep, 1);
            if (_waiting.IsEmpty && !_closing)
                _queue.Wait(Timeout.Infinite);
        }
    }

    // Either thread, and both at once.
    private void FailWaiting()
    {
        while (_waiting.TryDequeue(out BlockIo io))
            _completions.Complete(io.Slot, BlockStatus.Error);
    }

    private void StartWaiting()
    {
        _queue.Plug();
        while (_waiting.TryDequeue(out BlockIo io))
        {
            if (_queue.Submit(io) is var status and not BlockStatus.Pending)
                _completions.Complete(io.Slot, status);
        }

        _queue.Unplug();
    }
}
