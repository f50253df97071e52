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

    /// <summary>Their names: of those that contain <c>XEN_BLKIF_LAB_ONLY</c>.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Files.Select(file => Path.GetFileNameWithoutExtension(file))];

    /// <summary>The run, which starts with the first call.</summary>
    public static Scenarios Shared => Instance.Value;

    private static IEnumerable<string> Files => Directory
        .GetFiles(Path.Combine(AppContext.BaseDirectory, "lab", "scenarios"), $"*{Environment.GetEnvironmentVariable("XEN_BLKIF_LAB_ONLY")}*.sh")
        .Order(StringComparer.Ordinal);

    /// <summary>Waits for a scenario to end.</summary>
    public Task<ScenarioResult> ResultOfAsync(string scenario) => _results[scenario].Task;

    private async Task RunAsync()
    {
        try
        {
            var lab = new Lab([.. Files])
            {
                Progress = line => TestContext.Progress.WriteLine($"lab: {line}"),
                Ended = (name, result) => _results[name].TrySetResult(result),
            };
            await lab.RunAsync();
        }
        catch (Exception e)
        {
            foreach (TaskCompletionSource<ScenarioResult> result in _results.Values)
                result.TrySetException(e);
        }
    }
}
