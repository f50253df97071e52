using System.Diagnostics;
using Xen.Blkif.Engine;

namespace Xen.Blkif.Samples.Loopback;

/// <summary>What one step did, and how fast.</summary>
internal sealed record Measurement(
    string Protocol, string Operation, long Requests, long Bytes, TimeSpan Elapsed, long Notifications, LatencyHistogram Latency, bool? Verified)
{
    public double Iops => Requests / Math.Max(Elapsed.TotalSeconds, 1e-9);

    public double MegabytesPerSecond => Bytes / 1e6 / Math.Max(Elapsed.TotalSeconds, 1e-9);

    public double NotificationsPerRequest => (double)Notifications / Math.Max(Requests, 1);

    /// <summary>Runs a step and measures what the backend counted of it.</summary>
    /// <param name="session">The connection.</param>
    /// <param name="protocol">Its layout, for people.</param>
    /// <param name="operation">What the step does, for people.</param>
    /// <param name="of">Which of the backend's counters it moves.</param>
    /// <param name="step">
    /// The step, which lets the clock run while the disk works, so that making and checking data does not count; says whether what it read
    /// is right, or null where it reads nothing.
    /// </param>
    public static Measurement Take(
        Session session, string protocol, string operation, Func<QueueStatistics, OperationStatistics> of, Func<Stopwatch, bool?> step)
    {
        QueueStatistics statistics = session.Statistics;
        long requests = of(statistics).Done;
        long bytes = of(statistics).Bytes;
        long notifications = EventsOf(session);
        LatencyHistogram before = of(statistics).Latency.Copy();
        var clock = new Stopwatch();
        bool? verified = step(clock);
        return new Measurement(
            protocol, operation, of(statistics).Done - requests, of(statistics).Bytes - bytes, clock.Elapsed,
            EventsOf(session) - notifications, of(statistics).Latency.Since(before), verified);
    }

    /// <summary>Event channel notifications in both directions.</summary>
    private static long EventsOf(Session session) => session.Statistics.Notifications + session.Frontend.Queue.Notifications;
}
