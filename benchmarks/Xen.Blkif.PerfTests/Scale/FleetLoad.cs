using System.Diagnostics;
using Xen.Blkif.Protocol;
using Xen.Blkif.Testing;

namespace Xen.Blkif.PerfTests.Scale;

/// <summary>Reads from all queues at once, by one thread that looks at one after the other: as many requests under way as the depth.</summary>
/// <param name="fleet">The queues.</param>
/// <param name="workload">The requests.</param>
internal sealed class FleetLoad(Fleet fleet, ScaleWorkload workload)
{
    private const int Sectors = 1 << 20;

    private ulong _next;

    /// <summary>Reads for a while.</summary>
    /// <returns>Requests a second.</returns>
    /// <exception cref="InvalidOperationException">A read failed.</exception>
    public double Run(TimeSpan time)
    {
        Fill();
        long done = 0;
        long started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started) <= time)
            done += Serve(isOver: false);
        done += Drain();
        return done / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>Puts as many reads into each queue as the depth.</summary>
    public void Fill()
    {
        foreach (FrontendQueue queue in fleet.Queues)
        {
            for (int slot = 0; slot < workload.Depth; slot++)
                Put(queue, slot);
            queue.Push();
        }
    }

    /// <summary>Waits for all that were put.</summary>
    /// <returns>How many.</returns>
    /// <exception cref="InvalidOperationException">A read failed.</exception>
    public int Drain()
    {
        int underWay = fleet.Queues.Count * workload.Depth;
        for (int done = 0; done < underWay;)
            done += Serve(isOver: true);
        return underWay;
    }

    private int Serve(bool isOver)
    {
        int taken = 0;
        foreach (FrontendQueue queue in fleet.Queues)
            taken += Serve(queue, isOver);
        if (taken == 0)
            Thread.Yield();
        return taken;
    }

    private int Serve(FrontendQueue queue, bool isOver)
    {
        int taken = 0;
        while (queue.TryTake(out FrontendCompletion completion))
        {
            if (completion.Status != BlkifStatus.Okay)
                throw new InvalidOperationException($"A read failed: {completion.Status}.");
            taken++;
            if (!isOver)
                Put(queue, (int)completion.Id);
        }

        if (taken > 0 && !isOver)
            queue.Push();
        return taken;
    }

    private void Put(FrontendQueue queue, int slot)
    {
        _next = (_next + (ulong)(workload.Block / BlkifLimits.SectorSize)) % Sectors;
        queue.Put(BlkifOperation.Read, slot, _next, workload.Block);
    }
}
