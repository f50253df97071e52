using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Spectre.Console;
using Xen.Blkif.PerfTests.Compare;
using Xen.Blkif.PerfTests.Scale;

namespace Xen.Blkif.PerfTests.Commands;

/// <summary>What more devices, queues, pages of rings and bytes of requests cost and give.</summary>
internal sealed class ScaleCommand
{
    // Of threads that have ended, glibc keeps stacks for the next ones: what they take would not be seen to go.
    private const string NoStackCache = "GLIBC_TUNABLES=glibc.pthread.stack_cache_size=0";

    private readonly Option<double> _seconds = new("--seconds") { Description = "How long each is idle, and then busy.", DefaultValueFactory = _ => 1 };
    private readonly Option<string?> _here = new("--here") { Description = "Measures this one workload in this process, and prints it as JSON.", HelpName = "NAME", Hidden = true };

    public Command Create()
    {
        var command = new Command("scale", "Serves 1 to 256 devices in one process, with 1 to 4 queues, rings of 1 to 16 pages and requests of 4 KiB to 1 MiB, on a simulated Xen and no storage: what a backend takes of memory, idle and busy, without what is its guest's and the simulation's; processor while idle, requests a second while busy.")
        {
            _seconds, _here, CommonOptions.Only, CommonOptions.Json,
        };
        command.SetAction((arguments, _) => RunAsync(arguments));
        return command;
    }

    private async Task<int> RunAsync(ParseResult arguments)
    {
        double seconds = CommonOptions.Seconds(arguments, _seconds);
        if (arguments.GetValue(_here) is { } name)
        {
            ScaleWorkload here = ScaleWorkload.All.First(workload => workload.Name == name);
            Console.WriteLine(JsonSerializer.Serialize(await ScaleMeasurement.MeasureAsync(here, TimeSpan.FromSeconds(seconds))));
            return ExitCode.Okay;
        }

        Table table = Results.NewTable("workload", "backend KiB a device, idle", "busy", "idle CPU %", "IOPS", "MB/s");
        var rows = new List<ScaleRow>();
        foreach (ScaleWorkload workload in CommonOptions.Select(arguments, ScaleWorkload.All, workload => workload.Name))
        {
            ScaleRow row = await MeasureApartAsync(workload, seconds);
            rows.Add(row);
            table.AddRow(
                row.Workload,
                Results.Number(row.BackendIdleKib, "N0"),
                Results.Number(row.BackendBusyKib, "N0"),
                Results.Number(row.IdleCpuPercent, "0.0"),
                Results.Number(row.Iops, "N0"),
                Results.Number(row.MegabytesPerSecond, "N0"));
        }

        Results.Output.Write(table);
        JsonFile.Write(arguments.GetValue(CommonOptions.Json), rows);
        return ExitCode.Okay;
    }

    // What one leaves behind in the heap would be taken for another's.
    private static async Task<ScaleRow> MeasureApartAsync(ScaleWorkload workload, double seconds)
    {
        string[] words = ["env", NoStackCache, .. ThisProgram.Command, "scale", "--here", workload.Name, "--seconds", seconds.ToString(CultureInfo.InvariantCulture)];
        using var process = new ChildProcess(words[0], words[1..]);
        return JsonSerializer.Deserialize<ScaleRow>(await process.EndAsync())!;
    }
}
