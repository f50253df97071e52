using System.CommandLine;
using System.Globalization;
using Spectre.Console;
using Xen.Blkif.PerfTests.Compare;
using Xen.Blkif.PerfTests.Reference;
using Xen.Blkif.PerfTests.Transport;

namespace Xen.Blkif.PerfTests.Commands;

/// <summary>Compares the whole way, from client to storage, with that of QEMU, and both with the storage alone.</summary>
internal sealed class CompareCommand
{
    private static readonly Workload CurveOf = new("randread", 4096, 1, Direct: true);

    private readonly Option<double> _seconds = new("--seconds") { Description = "The length of a turn.", DefaultValueFactory = _ => 2 };
    private readonly Option<int> _rounds = new("--rounds") { Description = "Turns that each takes, for each workload.", DefaultValueFactory = _ => 5 };
    private readonly Option<DiskTarget> _target = new("--target") { Description = "What serves the file on our side.", DefaultValueFactory = _ => DiskTarget.Uring, HelpName = "uring|file|memory|null" };
    private readonly Option<string?> _svg = new("--svg") { Description = "Also measures and draws latency against load, 4k random reads past the page cache.", HelpName = "FILE" };
    private readonly Option<int> _backendCpu = new("--backend-cpu") { Description = "The processor of backends, and of fio.", DefaultValueFactory = _ => 0 };
    private readonly Option<int> _clientCpu = new("--client-cpu") { Description = "The processor of the client.", DefaultValueFactory = _ => 1 };

    public Command Create()
    {
        var command = new Command("compare", "Compares, on one file and by one client, this library with QEMU's storage daemon (vhost-user-blk), and both with fio on the file alone. Each in a process of its own, by turns, in both orders.")
        {
            CommonOptions.File, _seconds, _rounds, CommonOptions.Only, _target, _backendCpu, _clientCpu, CommonOptions.Json, _svg,
        };
        command.SetAction((arguments, _) => RunAsync(arguments));
        return command;
    }

    private async Task<int> RunAsync(ParseResult arguments)
    {
        string file = arguments.GetValue(CommonOptions.File)!;
        if (!File.Exists(file) || new FileInfo(file).Length < 1 << 24)
            throw new UserException($"'{file}' is no file of 16 MiB or more: make one, and fill it, for reads of holes cost nothing (dd if=/dev/urandom of={file} bs=1M count=1024).");

        int rounds = CommonOptions.AtLeastOne(arguments, _rounds);
        double seconds = CommonOptions.Seconds(arguments, _seconds);
        IReadOnlyList<Workload> workloads = CommonOptions.Select(arguments, Workload.All, workload => workload.Name);
        using var programs = new ReferencePrograms();
        var stand = new Stand(
            programs, Path.GetFullPath(file), new FileInfo(file).Length, arguments.GetValue(_target), arguments.GetValue(_backendCpu), arguments.GetValue(_clientCpu));

        var rows = new List<ComparisonRow>();
        Table table = Results.NewTable("workload", "", "IOPS", "MB/s", "p50 µs", "p99 µs", "CPU µs", "kicks", "calls", "syscalls", "ours / it", "CPU, ours / it");
        foreach (Workload workload in workloads)
        {
            ComparisonRow row = await Comparison.MeasureAsync(stand, workload, seconds, rounds);
            rows.Add(row);
            Add(table, row.Workload, "ours", row.Ours, null, null);
            Add(table, "", "fio", row.Fio, row.Ratio, row.CpuRatio);
            Add(table, "", "qemu-storage-daemon", row.Qemu, row.RatioQemu, row.CpuRatioQemu);
        }

        Results.Output.Write(table);
        JsonFile.Write(arguments.GetValue(CommonOptions.Json), rows);
        if (arguments.GetValue(_svg) is { } svg)
            await File.WriteAllTextAsync(svg, new LatencyPlot(await LatencyCurve.MeasureAsync(stand, CurveOf, seconds)).Draw("4k random reads past the page cache, at depths of 1 to 64"));
        return ExitCode.Okay;
    }

    private static void Add(Table table, string workload, string peer, Figures? figures, double? ratio, double? cpuRatio)
    {
        if (figures is null)
        {
            table.AddRow(workload, peer, "not installed");
            return;
        }

        table.AddRow(
            workload,
            peer,
            figures.Iops.ToString("N0", CultureInfo.InvariantCulture),
            Results.Number(figures.MegabytesPerSecond, "0.0"),
            Results.Number(figures.P50Us, "0.0"),
            Results.Number(figures.P99Us, "0.0"),
            Results.Number(figures.CpuUs, "0.00"),
            Results.Number(figures.Kicks, "0.000"),
            Results.Number(figures.Calls, "0.000"),
            Results.Number(figures.SystemCalls, "0.00"),
            Results.Number(ratio, "0.00"),
            Results.Number(cpuRatio, "0.00"));
    }
}
