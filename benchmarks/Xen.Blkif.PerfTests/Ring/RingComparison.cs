using System.Diagnostics;

namespace Xen.Blkif.PerfTests.Ring;

/// <summary>Measures the engine and the backend in C by turns, in both orders.</summary>
internal static class RingComparison
{
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(15);

    /// <summary>Has the engine do everything for long enough to be compiled for good, in the background.</summary>
    public static void Prepare(IReadOnlyList<RingWorkload> workloads)
    {
        long started = Stopwatch.GetTimestamp();
        do
        {
            foreach (RingWorkload workload in workloads)
            {
                foreach (EngineWay way in Enum.GetValues<EngineWay>())
                {
                    using var stand = new RingStand(workload, guest => new EngineBackend(guest, way));
                    stand.Measure(Turn);
                }
            }
        }
        while (Stopwatch.GetElapsedTime(started) < WarmUp);
    }

    /// <summary>Measures one workload.</summary>
    /// <param name="workload">The requests.</param>
    /// <param name="rounds">Turns that each of the four takes.</param>
    public static RingRow Measure(RingWorkload workload, int rounds)
    {
        using var csharp = new RingStand(workload, guest => new EngineBackend(guest, EngineWay.Looking));
        using var sleeping = new RingStand(workload, guest => new EngineBackend(guest, EngineWay.Sleeping));
        using var perRequest = new RingStand(workload, guest => new ReferenceBackend(guest, ReferenceWay.PerRequest));
        using var perPass = new RingStand(workload, guest => new ReferenceBackend(guest, ReferenceWay.PerPass));
        RingStand[] stands = [csharp, sleeping, perRequest, perPass];

        foreach (RingStand stand in stands)
            stand.Measure(Turn);
        var times = stands.ToDictionary(stand => stand, _ => new List<double>());
        for (int round = 0; round < rounds; round++)
        {
            foreach (RingStand stand in round % 2 == 0 ? stands : [.. stands.Reverse()])
                times[stand].Add(stand.Measure(Turn));
        }

        double[] ratios = Ratios(csharp, perRequest);
        return new RingRow(
            workload.Name,
            Median.Of(times[csharp]),
            Median.Of(times[perRequest]),
            Median.Of(ratios),
            ratios.Min(),
            ratios.Max(),
            Median.Of(times[sleeping]),
            Median.Of(Ratios(sleeping, perRequest)),
            Median.Of(times[perPass]),
            Median.Of(Ratios(csharp, perPass)));

        double[] Ratios(RingStand ours, RingStand theirs) => [.. times[ours].Zip(times[theirs], (our, their) => our / their)];
    }
}
