using System.Collections.Concurrent;

namespace Xen.Blkif.Targets.Files;

/// <summary>Hands requests to threads that may block, so that as many are under way at once.</summary>
internal sealed class FileWorkerQueue : IBlockQueue
{
    private readonly FileIo _file;
    private readonly IBlockCompletions _completions;
    private readonly Thread[] _workers;

    // Its segments are reused while no more requests wait than once did: no allocation in steady state.
    private readonly ConcurrentQueue<BlockIo> _waiting = new();

    // One permit for each waiting request that may be started, and at the end one for each worker.
    private readonly SemaphoreSlim _ready = new(0);

    // Requests in the queue without a permit. Of the thread that owns the queue, like the flag.
    private int _held;
    private bool _plugged;

    public FileWorkerQueue(FileIo file, IBlockCompletions completions, int workers)
    {
        _file = file;
        _completions = completions;
        _workers = new Thread[workers];
        for (int i = 0; i < workers; i++)
        {
            _workers[i] = new Thread(Work) { IsBackground = true, Name = $"blkif file worker {i}" };
            _workers[i].Start();
        }
    }

    public BlockStatus Submit(in BlockIo io)
    {
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
        _ready.Release(_workers.Length);
        foreach (Thread worker in _workers)
            worker.Join();
        _ready.Dispose();
    }

    private void Work()
    {
        while (true)
        {
            _ready.Wait();

            // A permit without a request is one of the last: nothing is under way when the queue closes.
            if (_waiting.TryDequeue(out BlockIo io))
                _completions.Complete(io.Slot, _file.Do(io));
            else
                return;
        }
    }
}
