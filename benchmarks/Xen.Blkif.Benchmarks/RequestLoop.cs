using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Benchmarks;

/// <summary>The frontend's part of a benchmark: puts requests in batches and takes their responses, on the engine's own thread.</summary>
internal static class RequestLoop
{
    /// <summary>Requests in one run.</summary>
    public const int Requests = 1024;

    public static long Run(QueuePair pair, BlkifOperation operation, int batch, int segments)
    {
        long done = 0;
        while (done < Requests)
        {
            for (int slot = 0; slot < batch; slot++)
                pair.Frontend.Put(operation, slot, (ulong)(slot * BlkifLimits.SectorsPerPage), segments * XenPage.Size);
            pair.Run();
            while (pair.Frontend.TryTake(out _))
                done++;
        }

        return done;
    }
}
