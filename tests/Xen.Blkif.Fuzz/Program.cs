using System.CommandLine;
using System.Globalization;
using Xen.Blkif.Fuzz;

var seconds = new Option<int>("--seconds") { Description = "How long; 0 for until Ctrl-C.", DefaultValueFactory = _ => 60 };
var seed = new Option<int?>("--seed") { Description = "Where all chance comes from. Default: another one each time, which is printed." };
var replay = new Option<string?>("--replay") { HelpName = "FILE|SEED", Description = "Play one episode: what a failure printed, kept in a file, or the number of an episode." };

var root = new RootCommand("Plays a hostile guest against the backend, beside an honest one, on a Xen that lives in this process.") { seconds, seed, replay };
root.SetAction(parsed =>
{
    // Whoever is asleep on a thread of its own would be unseen: the process ends, and says of what.
    AppDomain.CurrentDomain.UnhandledException += (_, e) =>
        Console.Error.WriteLine($"FAILED: unhandled on a thread of the backend, in the episode that {Journal.Path} has: {e.ExceptionObject}");

    var fuzzer = new Fuzzer(parsed.GetValue(seed) ?? Random.Shared.Next(), Console.Out);
    if (parsed.GetValue(replay) is { } kept)
    {
        return fuzzer.Replay(int.TryParse(kept, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? Episode.Draw(number)
            : Episode.Parse(File.ReadAllText(kept))) ? 0 : 1;
    }

    using var stop = new CancellationTokenSource();
    if (parsed.GetValue(seconds) > 0)
        stop.CancelAfter(TimeSpan.FromSeconds(parsed.GetValue(seconds)));
    Console.CancelKeyPress += (_, e) =>
    {
        e.Cancel = true;
        stop.Cancel();
    };
    Console.WriteLine($"should this process die, {Journal.Path} has the episode that it died of");
    bool well = fuzzer.Run(stop.Token);
    Journal.Remove();
    return well ? 0 : 1;
});
return root.Parse(args).Invoke();
