using System.CommandLine;
using Spectre.Console;
using Xen.Blkif.PerfTests.Reference;
using Xen.Blkif.PerfTests.Ring;

namespace Xen.Blkif.PerfTests.Commands;

/// <summary>Compares the engine with C made of Xen's own headers.</summary>
internal sealed class RingCommand
{
    private readonly Option<int> _rounds = new("--rounds") { Description = "How often each is measured.", DefaultValueFactory = _ => 10 };

    public Command Create()
    {
        var command = new Command("ring", "Compares the engine with a backend in C, made of Xen's own headers, on the same requests in the same process: nanoseconds a request, on one thread, without data or storage.")
        {
            _rounds, CommonOptions.Only, CommonOptions.Json,
        };
        command.SetAction(Run);
        return command;
    }

    private int Run(ParseResult arguments)
    {
        int rounds = CommonOptions.AtLeastOne(arguments, _rounds);
        Table table = Results.NewTable("workload", "C#, ns", "C, ns", "C# / C", "least", "most", "C# asleep, ns", "C# asleep / C", "C a pass, ns", "C# / C a pass");
        IReadOnlyList<RingWorkload> workloads = CommonOptions.Select(arguments, RingWorkload.All, workload => workload.Name);
        ReferenceLibrary.Require();
        RingComparison.Prepare(workloads);
        var rows = new List<RingRow>();
        foreach (RingWorkload workload in workloads)
        {
            RingRow row = RingComparison.Measure(workload, rounds);
            rows.Add(row);
            table.AddRow(
                row.Workload,
                Results.Number(row.CsharpNs, "0.0"),
                Results.Number(row.CNs, "0.0"),
                Results.Number(row.Ratio, "0.00"),
                Results.Number(row.RatioLow, "0.00"),
                Results.Number(row.RatioHigh, "0.00"),
                Results.Number(row.SleepingNs, "0.0"),
                Results.Number(row.RatioSleeping, "0.00"),
                Results.Number(row.CPerPassNs, "0.0"),
                Results.Number(row.RatioPerPass, "0.00"));
        }

        Results.Output.Write(table);
        Results.Output.WriteLine("""
            C#: the thread looks for the next requests, and they are there. C# asleep: it asks for an event and goes to sleep, and back at once.
            C: clock, copy, push and notification check for each request, as QEMU. C a pass: each of them once for all requests of a pass, as C#.
            """);
        JsonFile.Write(arguments.GetValue(CommonOptions.Json), rows);
        return ExitCode.Okay;
    }
}
