namespace Xen.Blkif.Tests.Testing;

/// <summary>Counts what an operation allocates in the long run.</summary>
internal static class Allocations
{
    /// <summary>
    /// Bytes that 10,000 calls allocate on this thread, after as many that warm everything up. The least of three rounds: the runtime
    /// allocates something of its own now and then, on whatever thread it finds, but not in every round.
    /// </summary>
    public static long Of(Action operation)
    {
        long least = long.MaxValue;
        for (int round = 0; round < 4; round++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 10_000; i++)
                operation();
            if (round > 0)
                least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return least;
    }
}
