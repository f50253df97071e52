namespace Xen.Blkif.PerfTests.Compare;

/// <summary>What a peer gave at one depth.</summary>
/// <param name="Depth">Requests under way at once.</param>
/// <param name="Figures">What it gave.</param>
internal sealed record CurvePoint(int Depth, Figures Figures);

/// <summary>Latency against load: the same load at one depth after the other.</summary>
internal static class LatencyCurve
{
    private static readonly int[] Depths = [1, 2, 4, 8, 16, 32, 64];

    /// <summary>Measures all peers.</summary>
    /// <param name="stand">What all runs have in common.</param>
    /// <param name="workload">The load, but for its depth.</param>
    /// <param name="seconds">The length of a turn.</param>
    /// <returns>The points of each peer, by its name.</returns>
    public static async Task<IReadOnlyDictionary<string, IReadOnlyList<CurvePoint>>> MeasureAsync(Stand stand, Workload workload, double seconds)
    {
        using IDisposable? awake = workload.KeepsAwake ? stand.StayAwake() : null;
        IReadOnlyList<IPeer> peers = Comparison.Open(stand, workload);
        try
        {
            var points = peers.ToDictionary(peer => peer.Name, _ => new List<CurvePoint>());
            foreach (int depth in Depths)
            {
                foreach (IPeer peer in peers)
                    points[peer.Name].Add(new CurvePoint(depth, await peer.RunAsync(depth, seconds)));
            }

            return points.ToDictionary(peer => peer.Key, peer => (IReadOnlyList<CurvePoint>)peer.Value);
        }
        finally
        {
            foreach (IPeer peer in peers)
                peer.Dispose();
        }
    }
}
