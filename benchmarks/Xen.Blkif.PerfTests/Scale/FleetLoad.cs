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
        foreach (FrontendQueue queue in fleet.Queues)
        {
            for (int slot = 0; slot < workload.Depth; slot++)
                Put(queue, slot);
            queue.Push();
        }

        long done = 0;
        long underWay = (long)fleet.Queues.Count * workload.Depth;
        long started = Stopwatch.GetTimestamp();
        while (underWay > 0)
        {
            bool isOver = Stopwatch.GetElapsedTime(started) > time;
            long before = done;
            foreach (FrontendQueue queue in fleet.Queues)
                done += Serve(queue, isOver);
            if (isOver)
                underWay -= done - before;
            if (done == before)
                Thread.Yield();
        }

        return done / Stopwatch.GetElapsedTime(started).TotalSeconds;
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
