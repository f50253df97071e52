using System.Diagnostics;

namespace Xen.Blkif.PerfTests.Ring;

/// <summary>A guest with its requests and one backend, to be measured.</summary>
internal sealed class RingStand : IDisposable
{
    private readonly RingGuest _guest;
    private readonly IRingBackend _backend;
    private readonly int _batch;

    public RingStand(RingWorkload workload, Func<RingGuest, IRingBackend> connect)
    {
        _guest = new RingGuest(workload.Protocol);
        _guest.FillWithReads(workload.Segments);
        _backend = connect(_guest);
        _batch = workload.Batch;
    }

    /// <summary>Has requests done.</summary>
    /// <param name="requests">How many; a multiple of 32.</param>
    public void Run(int requests) => _backend.Run(_batch, requests);

    /// <summary>Has requests done for a while.</summary>
    /// <param name="time">How long, about.</param>
    /// <returns>Nanoseconds a request: the median of steps so short that another thread's turn on the processor spoils few of them.</returns>
    /// <exception cref="InvalidOperationException">Not all of them were done: what was measured is something else.</exception>
    public double Measure(TimeSpan time)
    {
        const int Step = 1024;
        long before = _backend.Done;
        var steps = new List<double>();
        long started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started) < time)
        {
            long stepStarted = Stopwatch.GetTimestamp();
            Run(Step);
            steps.Add(Stopwatch.GetElapsedTime(stepStarted).TotalNanoseconds / Step);
        }

        long done = _backend.Done - before;
        if (done != (long)steps.Count * Step)
            throw new InvalidOperationException($"Of {(long)steps.Count * Step} requests, {done} were done.");
        return Median.Of(steps);
    }

    public void Dispose()
    {
        _backend.Dispose();
        _guest.Dispose();
    }
}
