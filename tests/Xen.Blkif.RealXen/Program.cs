using System.CommandLine;

namespace Xen.Blkif.RealXen;

/// <summary>What the lab does besides its tests.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] arguments)
    {
        var rounds = new Option<int>("--rounds") { Description = "How often each measurement is taken.", DefaultValueFactory = _ => 5 };
        var seconds = new Option<int>("--seconds") { Description = "How long each takes.", DefaultValueFactory = _ => 3 };
        var json = new Option<FileInfo?>("--json") { Description = "Also write the figures to this file." };
        var compare = new Command("compare", "Measures QEMU's qdisk, Linux's blkback and this backend side by side, on one RAM disk, in one guest, in one boot.")
        {
            rounds, seconds, json,
        };
        compare.SetAction((parsed, _) => Comparison.RunAsync(parsed.GetValue(rounds), parsed.GetValue(seconds), parsed.GetValue(json)));

        var script = new Argument<FileInfo>("SCRIPT") { Description = "A shell script that uses the functions of lab/dom0.sh." };
        var run = new Command("run", "Boots the machine and runs one script in its domain 0.") { script };
        run.SetAction((parsed, _) => RunScriptAsync(parsed.GetValue(script)!));

        return await new RootCommand("Real guests on the real Xen hypervisor, under emulation.") { compare, run }.Parse(arguments).InvokeAsync();
    }

    private static async Task<int> RunScriptAsync(FileInfo script)
    {
        int status = 1;
        var lab = new Lab([script.FullName])
        {
            Progress = Console.Error.WriteLine,
            Line = (_, line) => Console.WriteLine(line),
            Ended = (_, result) => status = result.Status,
        };
        await lab.RunAsync();
        return status;
    }
}
