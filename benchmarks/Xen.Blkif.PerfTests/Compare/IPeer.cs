namespace Xen.Blkif.PerfTests.Compare;

/// <summary>Something that does a load on the disk, by turns with others.</summary>
internal interface IPeer : IDisposable
{
    string Name { get; }

    /// <summary>Does the load for a while.</summary>
    /// <param name="depth">Requests under way at once.</param>
    /// <param name="seconds">How long.</param>
    Task<Figures> RunAsync(int depth, double seconds);

    /// <summary>Does the load for a while and counts system calls: apart, for counting them costs time.</summary>
    /// <returns>System calls for a request; none where they cannot be counted here.</returns>
    Task<double?> CountSystemCallsAsync(int depth, double seconds);
}
