namespace Xen.Blkif.PerfTests.Scale;

/// <summary>
/// Measures what backends take: the memory of the process with them, less what is left when they are disposed and everything else stays, that is
/// guests, their frontends, and the nodes in the simulated xenstore.
/// </summary>
/// <remarks>What the compiler and the simulation take is in both, and so is not counted.</remarks>
internal static class FleetMemory
{
    // The collector's and the C library's heaps grow in steps; of many devices, a step is little.
    private const int FewestDevices = 8;
    private const int Rounds = 3;

    private static readonly TimeSpan LoadTime = TimeSpan.FromSeconds(0.3);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Measures a few times.</summary>
    /// <param name="workload">The devices; of fewer than eight, eight are measured.</param>
    /// <returns>
    /// KiB a device, medians: of those that have done nothing, and of those that have had a load and then have as many requests under way, each with
    /// all of its data, as the depth.
    /// </returns>
    public static async Task<(double Idle, double Busy)> MeasureAsync(ScaleWorkload workload)
    {
        ScaleWorkload devices = workload with { Devices = Math.Max(FewestDevices, workload.Devices) };
        var idle = new List<double>();
        var busy = new List<double>();
        for (int round = 0; round < Rounds; round++)
        {
            idle.Add(await MeasureAsync(devices, (_, _) => ProcessMemory.AnonymousKib()));
            busy.Add(await MeasureAsync(devices, (fleet, disk) => WhileBusy(fleet, disk, devices)));
        }

        return (Median.Of(idle), Median.Of(busy));
    }

    private static async Task<double> MeasureAsync(ScaleWorkload workload, Func<Fleet, HeldDisk, double> measure)
    {
        var disk = new HeldDisk(Fleet.DiskLength);
        await using Fleet fleet = await Fleet.OpenAsync(workload, disk);
        double with = measure(fleet, disk);
        await fleet.RemoveBackendsAsync();
        return (with - ProcessMemory.AnonymousKib()) / workload.Devices;
    }

    private static double WhileBusy(Fleet fleet, HeldDisk disk, ScaleWorkload workload)
    {
        var load = new FleetLoad(fleet, workload);
        load.Run(LoadTime);
        disk.Hold();
        try
        {
            // While requests are under way, no memory of theirs goes because nobody needs it.
            load.Fill();
            disk.WaitFor(fleet.Queues.Count * workload.UnderWay, Patience);
            return ProcessMemory.AnonymousKib();
        }
        finally
        {
            disk.Release();
            load.Drain();
        }
    }
}
