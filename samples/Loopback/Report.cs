using System.Globalization;
using System.Text.Json;
using Spectre.Console;
using Xen.Blkif.Diagnostics;

namespace Xen.Blkif.Samples.Loopback;

/// <summary>Tells what was measured: a table for people, or one JSON document for machines.</summary>
internal static class Report
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public static void WriteTable(IAnsiConsole console, Disk disk, LoopbackOptions options, IReadOnlyList<Measurement> results)
    {
        console.WriteLine();
        console.MarkupLineInterpolated(
            $" [bold]{disk.Name}[/], {BinarySize.Format(disk.Length)}, ring page order {options.RingPageOrder}, depth {options.Depth}");

        // Narrow enough for a terminal of 80 columns.
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumn(Column("layout"));
        table.AddColumn(Column("operation"));
        foreach (string heading in new[] { "requests", "IOPS", "MB/s", "ev/req", "p50", "p99", "max" })
            table.AddColumn(Column(heading).RightAligned());
        table.AddColumn(Column("data"));

        string last = "";
        foreach (Measurement result in results)
        {
            bool same = string.Equals(last, result.Protocol, StringComparison.Ordinal);
            if (!same && last.Length > 0)
                table.AddEmptyRow();
            table.AddRow(
                same ? "" : result.Protocol,
                result.Operation,
                Number(result.Requests, "N0"),
                Number(result.Iops, "N0"),
                result.Bytes == 0 ? "–" : Number(result.MegabytesPerSecond, "N0"),
                Number(result.NotificationsPerRequest, "0.00"),
                Duration(result.Latency.Percentile(0.5)),
                Duration(result.Latency.Percentile(0.99)),
                Duration(result.Latency.Max),
                result.Verified switch { true => "[green]verified[/]", false => "[red]WRONG[/]", null => "" });
            last = result.Protocol;
        }

        console.Write(table);
        console.MarkupLine(" [dim]ev/req: event channel notifications in both directions for each request[/]");

        static TableColumn Column(string heading) => new(heading) { NoWrap = true, Padding = new Padding(0) };
    }

    public static void WriteJson(TextWriter output, Disk disk, LoopbackOptions options, IReadOnlyList<Measurement> results) =>
        output.WriteLine(JsonSerializer.Serialize(
            new
            {
                Disk = disk.Name,
                disk.Length,
                options.RingPageOrder,
                options.Depth,
                Results = results.Select(r => new
                {
                    r.Protocol,
                    r.Operation,
                    r.Requests,
                    r.Bytes,
                    Seconds = r.Elapsed.TotalSeconds,
                    r.Iops,
                    r.MegabytesPerSecond,
                    r.NotificationsPerRequest,
                    LatencyMicroseconds = new
                    {
                        P50 = r.Latency.Percentile(0.5).TotalMicroseconds,
                        P90 = r.Latency.Percentile(0.9).TotalMicroseconds,
                        P99 = r.Latency.Percentile(0.99).TotalMicroseconds,
                        Max = r.Latency.Max.TotalMicroseconds,
                    },
                    r.Verified,
                }),
            },
            Indented));

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    private static string Duration(TimeSpan span) => span.TotalMilliseconds switch
    {
        >= 1000 => Number(span.TotalSeconds, "0.00") + " s",
        >= 100 => Number(span.TotalMilliseconds, "0") + " ms",
        >= 1 => Number(span.TotalMilliseconds, "0.0") + " ms",
        _ => Number(span.TotalMicroseconds, "0") + " µs",
    };
}
