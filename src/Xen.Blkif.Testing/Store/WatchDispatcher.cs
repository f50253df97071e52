using System.Diagnostics;

namespace Xen.Blkif.Testing;

/// <summary>Calls the callbacks of all watches, one after the other, on one thread.</summary>
/// <remarks>
/// An event that is still queued is not queued again, so the queue holds at most one event for each watch and path. It is taken out of the
/// queue before the callback runs: a change that the callback may have missed is queued again.
/// </remarks>
internal sealed class WatchDispatcher : IDisposable
{
    private readonly object _gate = new();
    private readonly Queue<(StoreWatch Watch, string Path)> _queue = new();
    private readonly Thread _thread;
    private StoreWatch? _running;
    private Exception? _failure;
    private bool _stopping;

    public WatchDispatcher()
    {
        _thread = new Thread(Run) { IsBackground = true, Name = "Simulated xenstore" };
        _thread.Start();
    }

    /// <summary>The first exception that a callback threw.</summary>
    public Exception? Failure
    {
        get
        {
            lock (_gate)
                return _failure;
        }
    }

    public void Enqueue(StoreWatch watch, string path)
    {
        lock (_gate)
        {
            if (_stopping || watch.IsClosed || !watch.Pending.Add(path))
                return;
            _queue.Enqueue((watch, path));
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Calls the watch no more. Waits while its callback runs, unless it is that callback that asks.</summary>
    public void Close(StoreWatch watch)
    {
        lock (_gate)
        {
            watch.IsClosed = true;
            watch.Pending.Clear();
            while (_running == watch && Thread.CurrentThread != _thread)
                _ = Monitor.Wait(_gate);
        }
    }

    public int CountPending(object connection)
    {
        lock (_gate)
            return _queue.Count(item => item.Watch.Connection == connection && !item.Watch.IsClosed);
    }

    public bool WaitUntilIdle(int millisecondsTimeout)
    {
        var start = Stopwatch.GetTimestamp();
        lock (_gate)
        {
            while (!_stopping && (_queue.Count != 0 || _running is not null))
            {
                var left = Timeout.Infinite;
                if (millisecondsTimeout >= 0)
                {
                    var gone = (Stopwatch.GetTimestamp() - start) * 1000 / Stopwatch.Frequency;
                    if (gone >= millisecondsTimeout)
                        return false;
                    left = (int)(millisecondsTimeout - gone);
                }

                _ = Monitor.Wait(_gate, left);
            }

            return true;
        }
    }

    /// <summary>Drops what is queued and ends the thread.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _stopping = true;
            _queue.Clear();
            Monitor.PulseAll(_gate);
        }

        if (Thread.CurrentThread != _thread)
            _thread.Join();
    }

    private void Run()
    {
        while (TryDequeue(out var watch, out var path))
        {
            try
            {
                watch.Report(path);
            }
#pragma warning disable CA1031 // A callback may throw anything; the other watches go on, and whoever disposes gets it.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                lock (_gate)
                    _failure ??= exception;
            }
            finally
            {
                lock (_gate)
                {
                    _running = null;
                    Monitor.PulseAll(_gate);
                }
            }
        }
    }

    private bool TryDequeue(out StoreWatch watch, out string path)
    {
        lock (_gate)
        {
            while (true)
            {
                while (_queue.Count == 0 && !_stopping)
                    _ = Monitor.Wait(_gate);
                if (_stopping)
                {
                    (watch, path) = (null!, null!);
                    return false;
                }

                (watch, path) = _queue.Dequeue();
                if (watch.IsClosed)
                {
                    // Someone may wait for the queue to be empty.
                    Monitor.PulseAll(_gate);
                    continue;
                }

                _ = watch.Pending.Remove(path);
                _running = watch;
                return true;
            }
        }
    }
}
