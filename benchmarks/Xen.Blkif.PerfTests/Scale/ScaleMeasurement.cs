using System.Globalization;
using Xen.Blkif.PerfTests.Transport;

namespace Xen.Blkif.PerfTests.Scale;

/// <summary>Measures a fleet, idle and busy.</summary>
internal static class ScaleMeasurement
{
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(0.3);

    /// <summary>Measures, in a process that has done nothing else.</summary>
    /// <param name="workload">The devices.</param>
    /// <param name="time">How long idle, and how long busy.</param>
    public static async Task<ScaleRow> MeasureAsync(ScaleWorkload workload, TimeSpan time)
    {
        // For the compiler, and for the memory that the first device of a process takes.
        await using (Fleet first = await Fleet.OpenAsync(workload with { Devices = 1 }))
            new FleetLoad(first, workload).Run(WarmUp);

        double before = AnonymousKib();
        await using Fleet fleet = await Fleet.OpenAsync(workload);
        double idle = AnonymousKib();

        await Task.Delay(WarmUp);
        TimeSpan processor = LibC.ProcessorTimeOf(Environment.ProcessId);
        await Task.Delay(time);
        double idlePercent = 100 * (LibC.ProcessorTimeOf(Environment.ProcessId) - processor) / time;

        var load = new FleetLoad(fleet, workload);
        load.Run(WarmUp);
        double iops = load.Run(time);
        return new ScaleRow(
            workload.Name,
            (idle - before) / workload.Devices,
            (AnonymousKib() - before) / workload.Devices,
            idlePercent,
            iops,
            iops * workload.Block / 1e6);
    }

    // Not that of the guests, which is shared. The collector's heap only as far as something lives in it.
    private static double AnonymousKib()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        string line = File.ReadLines("/proc/self/status").First(line => line.StartsWith("RssAnon:", StringComparison.Ordinal));
        return double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }
}
