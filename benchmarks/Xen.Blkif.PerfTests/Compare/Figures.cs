namespace Xen.Blkif.PerfTests.Compare;

/// <summary>What one run gave.</summary>
/// <param name="Iops">Requests a second.</param>
/// <param name="MegabytesPerSecond">In millions of bytes.</param>
/// <param name="P50Us">The median latency, in microseconds.</param>
/// <param name="P99Us">The latency that 99 of 100 requests do not exceed, in microseconds.</param>
/// <param name="CpuUs">The backend's processor time for a request, in microseconds; of fio, that of fio.</param>
/// <param name="Kicks">Notifications of the backend for a request; none in fio.</param>
/// <param name="Calls">Notifications of the client for a request; none in fio.</param>
/// <param name="SystemCalls">The backend's system calls for a request; none where they could not be counted.</param>
internal sealed record Figures(
    double Iops, double MegabytesPerSecond, double P50Us, double P99Us, double CpuUs, double? Kicks = null, double? Calls = null, double? SystemCalls = null)
{
    /// <summary>The medians of several runs, each for itself.</summary>
    public static Figures MedianOf(IReadOnlyCollection<Figures> runs) => new(
        Median.Of(runs.Select(run => run.Iops)),
        Median.Of(runs.Select(run => run.MegabytesPerSecond)),
        Median.Of(runs.Select(run => run.P50Us)),
        Median.Of(runs.Select(run => run.P99Us)),
        Median.Of(runs.Select(run => run.CpuUs)),
        MedianOf(runs, run => run.Kicks),
        MedianOf(runs, run => run.Calls));

    private static double? MedianOf(IReadOnlyCollection<Figures> runs, Func<Figures, double?> figure) =>
        runs.All(run => figure(run) is not null) ? Median.Of(runs.Select(run => figure(run)!.Value)) : null;
}
