using System.Globalization;
using System.Text.Json;

namespace Xen.Blkif.RealXen;

/// <summary>Measures backends side by side and tells how they compare.</summary>
internal static class Comparison
{
    /// <summary>Runs <c>lab/measures/side_by_side.sh</c> and prints a table.</summary>
    /// <param name="settings">What the script reads: how often, how long, what.</param>
    /// <param name="variants">Options of this backend, for each of its disks.</param>
    /// <param name="json">Where the rows go too; null for nowhere.</param>
    public static async Task<int> RunAsync(IReadOnlyDictionary<string, string> settings, IReadOnlyList<string> variants, FileInfo? json)
    {
        var rows = new List<Measurement>();
        ScenarioResult? outcome = null;
        var lab = new Lab([Path.Combine(AppContext.BaseDirectory, "lab", "measures", "side_by_side.sh")], new LabListener
        {
            Progress = Console.Error.WriteLine,
            Line = (_, line) =>
            {
                if (Measurement.TryParse(line) is not { } row)
                    return;
                rows.Add(row);
                Console.Error.WriteLine($"  round {row.Round}: {row.Workload,-16} {row.Backend,-8} {row.RequestsPerSecond,7:0} requests/s");
            },
            Ended = (_, result) => outcome = result,
        })
        {
            SecondsForEach = 7200,
            Settings = new Dictionary<string, string>(settings, StringComparer.Ordinal) { ["VARIANTS"] = string.Join('|', variants) + '|' },
        };
        await lab.RunAsync();
        if (outcome is not { Status: 0 })
        {
            await Console.Error.WriteLineAsync($"The measurement failed:\n{outcome?.Log}");
            return 1;
        }

        for (int variant = 0; variant < variants.Count; variant++)
            Print(rows, variants[variant], $"ours{variant}");
        if (json is not null)
            await File.WriteAllTextAsync(json.FullName, JsonSerializer.Serialize(rows));
        return 0;
    }

    private static void Print(IReadOnlyList<Measurement> rows, string variant, string name)
    {
        if (variant.Length > 0)
            Console.WriteLine($"With {variant}:");
        Console.WriteLine("| workload | qdisk | blkback | ours | ours / qdisk | ours / blkback | domain 0 CPU per request, µs: qdisk, blkback, ours |");
        Console.WriteLine("|---|---|---|---|---|---|---|");
        foreach (IGrouping<string, Measurement> workload in rows.GroupBy(row => row.Workload))
        {
            Measurement[] qdisk = [.. workload.Where(row => row.Backend == "qdisk")];
            Measurement[] blkback = [.. workload.Where(row => row.Backend == "blkback")];
            Measurement[] ours = [.. workload.Where(row => row.Backend == name)];
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {workload.Key} | {Rate(qdisk):0} | {Rate(blkback):0} | {Rate(ours):0} | {Ratio(ours, qdisk)} | {Ratio(ours, blkback)} | {Cost(qdisk):0}, {Cost(blkback):0}, {Cost(ours):0} |"));
        }
    }

    private static double Rate(IEnumerable<Measurement> rows) => Median(rows.Select(row => row.RequestsPerSecond));

    private static double Cost(IEnumerable<Measurement> rows) => Median(rows.Select(row => row.ProcessorMicrosecondsPerRequest));

    // Of the pairs of one round each: what the machine does meanwhile concerns both.
    private static string Ratio(IEnumerable<Measurement> ours, IEnumerable<Measurement> peer)
    {
        double[] ratios = [.. ours.Join(peer, row => row.Round, row => row.Round, (one, other) => one.RequestsPerSecond / other.RequestsPerSecond)];
        return string.Create(CultureInfo.InvariantCulture, $"**{Median(ratios):0.00}** ({ratios.Min():0.00}–{ratios.Max():0.00})");
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
