namespace Xen.Blkif.PerfTests.Compare;

/// <summary>Has the peers do a load by turns, in both orders.</summary>
internal static class Comparison
{
    /// <summary>Programs that a comparison can do without.</summary>
    public static IReadOnlyList<string> Optional { get; } = ["fio", "qemu-storage-daemon"];

    private const double WarmUpSeconds = 0.5;
    private const double CountingSeconds = 1;

    /// <summary>Compares the peers under one load.</summary>
    /// <param name="stand">What all runs have in common.</param>
    /// <param name="workload">The load.</param>
    /// <param name="seconds">The length of a turn.</param>
    /// <param name="rounds">Turns that each takes.</param>
    public static async Task<ComparisonRow> MeasureAsync(Stand stand, Workload workload, double seconds, int rounds)
    {
        if (!workload.Direct)
            await ReadWholeAsync(stand.File);
        using IDisposable? awake = workload.KeepsAwake ? stand.StayAwake() : null;
        IReadOnlyList<IPeer> peers = Open(stand, workload);
        try
        {
            // The backends stay, so that none starts cold in its turn.
            foreach (IPeer peer in peers)
                await peer.RunAsync(workload.Depth, WarmUpSeconds);

            var runs = peers.ToDictionary(peer => peer.Name, _ => new List<Figures>());
            for (int round = 0; round < rounds; round++)
            {
                foreach (IPeer peer in round % 2 == 0 ? peers : peers.Reverse())
                    runs[peer.Name].Add(await peer.RunAsync(workload.Depth, seconds));
            }

            var medians = new Dictionary<string, Figures>();
            foreach (IPeer peer in peers)
            {
                double? systemCalls = await peer.CountSystemCallsAsync(workload.Depth, CountingSeconds);
                medians[peer.Name] = Figures.MedianOf(runs[peer.Name]) with { SystemCalls = systemCalls };
            }

            return new ComparisonRow(
                workload.Name,
                medians["ours"],
                medians.GetValueOrDefault("fio"),
                medians.GetValueOrDefault("qemu"),
                Ratio(runs, "fio", run => run.Iops),
                Ratio(runs, "qemu", run => run.Iops),
                Ratio(runs, "fio", run => run.CpuUs),
                Ratio(runs, "qemu", run => run.CpuUs),
                [.. Optional.Where(tool => !Tools.Has(tool))]);
        }
        finally
        {
            foreach (IPeer peer in peers)
                peer.Dispose();
        }
    }

    /// <summary>The peers that are installed, this library first.</summary>
    public static IReadOnlyList<IPeer> Open(Stand stand, Workload workload)
    {
        var peers = new List<IPeer> { BackendPeer.Ours(stand, workload) };
        if (Tools.Has("fio"))
            peers.Add(new FioPeer(stand, workload));
        if (Tools.Has("qemu-storage-daemon"))
            peers.Add(BackendPeer.Qemu(stand, workload));
        return peers;
    }

    // Writes past the page cache have taken from it what they wrote.
    private static async Task ReadWholeAsync(string file)
    {
        await using FileStream stream = File.OpenRead(file);
        await stream.CopyToAsync(Stream.Null, 1 << 20);
    }

    private static double? Ratio(Dictionary<string, List<Figures>> runs, string peer, Func<Figures, double> figure) =>
        runs.TryGetValue(peer, out List<Figures>? theirs) ? Median.Of(runs["ours"].Zip(theirs, (our, their) => figure(our) / figure(their))) : null;
}
