using Xen.Blkif.PerfTests.Transport;
using Xen.Blkif.Targets;

namespace Xen.Blkif.PerfTests.Scale;

/// <summary>Measures a fleet, idle and busy.</summary>
internal static class ScaleMeasurement
{
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(0.3);

    // A device that was busy gives memory back within two seconds, and does nothing any more after that.
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(3);

    /// <summary>Measures, in a process that has done nothing else.</summary>
    /// <param name="workload">The devices.</param>
    /// <param name="time">How long idle, and how long busy.</param>
    public static async Task<ScaleRow> MeasureAsync(ScaleWorkload workload, TimeSpan time)
    {
        (double idlePercent, double iops) = await SpeedAsync(workload, time);
        (double idle, double busy) = await FleetMemory.MeasureAsync(workload);
        return new ScaleRow(workload.Name, idle, busy, idlePercent, iops, iops * workload.Block / 1e6);
    }

    private static async Task<(double IdlePercent, double Iops)> SpeedAsync(ScaleWorkload workload, TimeSpan time)
    {
        await using Fleet fleet = await Fleet.OpenAsync(workload, new NullTarget(Fleet.DiskLength));
        var load = new FleetLoad(fleet, workload);
        load.Run(WarmUp);

        await Task.Delay(Rest);
        TimeSpan processor = LibC.ProcessorTimeOf(Environment.ProcessId);
        await Task.Delay(time);
        double idlePercent = 100 * (LibC.ProcessorTimeOf(Environment.ProcessId) - processor) / time;
        return (idlePercent, load.Run(time));
    }
}
