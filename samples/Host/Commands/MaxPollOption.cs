using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Xen.Blkif.Backend;

namespace Xen.Blkif.Samples.Host.Commands;

/// <summary>How long the threads of queues look for work before they sleep.</summary>
internal static class MaxPollOption
{
    private const int Longest = 1_000_000;

    public static Option<TimeSpan> Instance { get; } = new("--max-poll-us")
    {
        HelpName = "N",
        Description = "How long a queue looks for work before it sleeps, at most, in microseconds; it learns for how long that helps. 0 for not at all.",
        DefaultValueFactory = _ => new BackendOptions().MaxPollTime,
        CustomParser = Parse,
    };

    private static TimeSpan Parse(ArgumentResult result)
    {
        if (int.TryParse(result.Tokens[0].Value, NumberStyles.None, CultureInfo.InvariantCulture, out int microseconds) && microseconds <= Longest)
            return TimeSpan.FromTicks(microseconds * TimeSpan.TicksPerMicrosecond);
        result.AddError($"--max-poll-us is from 0 to {Longest}, not '{result.Tokens[0].Value}'.");
        return default;
    }
}
