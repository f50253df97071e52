using System.Collections.Concurrent;

namespace Xen.Blkif.RealXen;

/// <summary>The scripts of <c>lab/scenarios</c>, all run in one boot.</summary>
internal sealed class Scenarios
{
    private static readonly Lazy<Scenarios> Instance = new(() => new Scenarios());

    private readonly ConcurrentDictionary<string, TaskCompletionSource<ScenarioResult>> _results = new(StringComparer.Ordinal);

    private Scenarios()
    {
        foreach (string name in Names)
            _results[name] = new TaskCompletionSource<ScenarioResult>(TaskCreationOptions.RunContinuationsAsynchronously);
        _ = RunAsync();
    }

    /// <summary>Their names: of those that contain one of the words of <c>XEN_BLKIF_LAB_ONLY</c>, which commas separate.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Files.Select(file => Path.GetFileNameWithoutExtension(file))];

    /// <summary>The run, which starts with the first call.</summary>
    public static Scenarios Shared => Instance.Value;

    private static IEnumerable<string> Files => Directory
        .GetFiles(Path.Combine(AppContext.BaseDirectory, "lab", "scenarios"), "*.sh")
        .Where(file => Wanted.Any(word => Path.GetFileName(file).Contains(word, StringComparison.Ordinal)))
        .Order(StringComparer.Ordinal);

    private static string[] Wanted => (Environment.GetEnvironmentVariable("XEN_BLKIF_LAB_ONLY") ?? "").Split(',');

    /// <summary>Waits for a scenario to end.</summary>
    public Task<ScenarioResult> ResultOfAsync(string scenario) => _results[scenario].Task;

    private async Task RunAsync()
    {
        try
        {
            var lab = new Lab([.. Files], new LabListener
            {
                Progress = line => TestContext.Progress.WriteLine($"lab: {line}"),
                Ended = (name, result) => _results[name].TrySetResult(result),
            });
            await lab.RunAsync();
            FailTheOthers(new InvalidOperationException("The machine ended without a word of this scenario."));
        }
        catch (Exception e)
        {
            FailTheOthers(e);
        }
    }

    private void FailTheOthers(Exception reason)
    {
        foreach (TaskCompletionSource<ScenarioResult> result in _results.Values)
            result.TrySetException(reason);
    }
}
