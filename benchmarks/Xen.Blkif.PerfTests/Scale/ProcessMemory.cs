using System.Globalization;
using Xen.Blkif.PerfTests.Transport;

namespace Xen.Blkif.PerfTests.Scale;

/// <summary>Memory that this process has for itself.</summary>
internal static class ProcessMemory
{
    /// <summary>
    /// Its anonymous pages in memory, in KiB: heaps and stacks. What nothing lives in any more is given back first, by the collector and by the C
    /// library. The simulated guests' pages are not among them: those are shared.
    /// </summary>
    public static double AnonymousKib()
    {
        Collect();
        GC.WaitForPendingFinalizers();
        Collect();
        _ = LibC.Trim(0);
        string line = File.ReadLines("/proc/self/status").First(line => line.StartsWith("RssAnon:", StringComparison.Ordinal));
        return double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }

    private static void Collect() => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
}
