using System.CommandLine;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Xen.Blkif.RealXen;

/// <summary>What the lab does besides its tests.</summary>
internal static partial class Program
{
    [GeneratedRegex("^(rand)?(read|write)-[1-9][0-9]*[km]?-[1-9][0-9]*$", RegexOptions.CultureInvariant)]
    private static partial Regex WorkloadName();

    private static async Task<int> Main(string[] arguments)
    {
        var rounds = new Option<int>("--rounds") { Description = "How often each measurement is taken.", DefaultValueFactory = _ => 5 };
        var seconds = new Option<int>("--seconds") { Description = "How long each takes.", DefaultValueFactory = _ => 3 };
        var blkfront = new Option<string>("--blkfront")
        {
            Description = "Parameters of the guest's driver, such as feature_persistent=0,max_indirect_segments=0: to find a cause.",
            DefaultValueFactory = _ => "",
        };
        var workloads = new Option<string>("--workloads")
        {
            Description = "What is measured, PATTERN-SIZE-DEPTH each, separated by spaces.",
            DefaultValueFactory = _ => "randread-4k-1 randwrite-4k-1 randread-4k-32 randwrite-4k-32 read-64k-8 write-64k-8 read-1m-4 write-1m-4",
        };
        var options = new Option<string[]>("--attach-options")
        {
            Description = "Options of this backend, such as \"--max-poll-us 0\": to find a cause. Given more than once, each has a disk of its own.",
            DefaultValueFactory = _ => [""],
        };
        var json = new Option<FileInfo?>("--json") { Description = "Also write the figures to this file." };
        var compare = new Command("compare", "Measures QEMU's qdisk, Linux's blkback and this backend side by side, on one RAM disk, in one guest, in one boot.")
        {
            rounds, seconds, workloads, blkfront, options, json,
        };
        workloads.Validators.Add(result =>
        {
            string text = result.GetValueOrDefault<string>() ?? "";
            string[] words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 0)
                result.AddError("--workloads names none.");
            foreach (string word in words.Where(word => !WorkloadName().IsMatch(word)))
                result.AddError($"--workloads: '{word}' is not PATTERN-SIZE-DEPTH, such as randread-4k-1; the pattern is read, write, randread or randwrite.");
        });
        foreach (Option<int> number in new[] { rounds, seconds })
        {
            number.Validators.Add(result =>
            {
                if (result.Tokens.Any(token => int.TryParse(token.Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out int value) && value < 1))
                    result.AddError($"{number.Name} is a number from 1.");
            });
        }

        options.Validators.Add(result =>
        {
            if (result.Tokens.Count > 8)
                result.AddError("--attach-options can be given up to eight times.");
        });
        compare.SetAction((parsed, _) => Comparison.RunAsync(
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["ROUNDS"] = parsed.GetValue(rounds).ToString(CultureInfo.InvariantCulture),
                ["SECONDS_EACH"] = parsed.GetValue(seconds).ToString(CultureInfo.InvariantCulture),
                ["WORKLOADS"] = parsed.GetValue(workloads)!,
                ["BLKFRONT"] = parsed.GetValue(blkfront)!,
            },
            parsed.GetValue(options)!,
            parsed.GetValue(json)));

        var attaches = new Option<int>("--attaches") { Description = "How often a disk is attached and detached.", DefaultValueFactory = _ => 200 };
        var destroys = new Option<int>("--destroys") { Description = "How many guests are destroyed while they write.", DefaultValueFactory = _ => 50 };
        var leaks = new Command("leaks", "Counts what one process holds before and after many attaches, and many guests destroyed while they write.") { attaches, destroys };
        leaks.SetAction((parsed, _) => RunScriptAsync(
            Scenario("attaching_and_destroying_leaks_nothing"),
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["ATTACHES"] = parsed.GetValue(attaches).ToString(CultureInfo.InvariantCulture),
                ["DESTROYS"] = parsed.GetValue(destroys).ToString(CultureInfo.InvariantCulture),
            }));

        var kills = new Option<int>("--kills") { Description = "How often each of the two processes is killed.", DefaultValueFactory = _ => 5 };
        var restarts = new Command("restarts", "Kills the processes that serve a guest's two disks under fio, and starts them again.") { kills };
        restarts.SetAction((parsed, _) => RunScriptAsync(
            Scenario("process_killed_and_started_again_under_io_is_not_noticed"),
            new Dictionary<string, string>(StringComparer.Ordinal) { ["KILLS"] = parsed.GetValue(kills).ToString(CultureInfo.InvariantCulture) }));

        var sweep = new Command("sweep", "Runs the tests of data with every combination of the guest's driver: queues, ring pages, indirect segments, persistent grants.");
        sweep.SetAction((_, _) => RunScriptAsync(
            Scenario("data_is_kept_however_the_guests_driver_is_set"),
            new Dictionary<string, string>(StringComparer.Ordinal) { ["COMBINATIONS"] = string.Join(' ', DriverCombinations()) }));

        var script = new Argument<FileInfo>("SCRIPT") { Description = "A shell script that uses the functions of lab/dom0.sh." };
        var run = new Command("run", "Boots the machine and runs one script in its domain 0.") { script };
        run.SetAction((parsed, _) => RunScriptAsync(parsed.GetValue(script)!, new Dictionary<string, string>(StringComparer.Ordinal)));

        var domain = new Argument<int>("DOMID") { Description = "The guest's number." };
        var vdev = new Argument<string>("VDEV") { Description = "The disk's name in the guest, such as xvda." };
        var record = new Command("record", "Runs in domain 0: serves a disk that prints the order of what is done to it.") { domain, vdev };
        record.SetAction((parsed, _) => OrderRecorder.RunAsync(parsed.GetValue(domain), parsed.GetValue(vdev)!));

        var root = new RootCommand("Real guests on the real Xen hypervisor, under emulation.") { compare, leaks, restarts, sweep, run, record };
        try
        {
            return await root.Parse(arguments).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (ResultStateException missing)
        {
            // What a test is ignored for, or fails where nothing may be missing, a command cannot do without.
            await Console.Error.WriteLineAsync(missing.Message);
            return 1;
        }
    }

    private static IEnumerable<string> DriverCombinations() =>
        from queues in new[] { 1, 2 }
        from order in new[] { 0, 4 }
        from segments in new[] { 0, 32, 256 }
        from persistent in new[] { 0, 1 }
        select $"{queues}:{order}:{segments}:{persistent}";

    private static FileInfo Scenario(string name) => new(Path.Combine(AppContext.BaseDirectory, "lab", "scenarios", $"{name}.sh"));

    private static async Task<int> RunScriptAsync(FileInfo script, IReadOnlyDictionary<string, string> settings)
    {
        int status = 1;
        var lab = new Lab([script.FullName], new LabListener
        {
            Progress = Console.Error.WriteLine,
            Line = (_, line) => Console.WriteLine(line),
            Ended = (_, result) => status = result.Status,
        })
        {
            SecondsForEach = 7200,
            Settings = settings,
        };
        await lab.RunAsync();
        return status;
    }
}
