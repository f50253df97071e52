using System.CommandLine;
using Xen.Blkif.Engine;

namespace Xen.Blkif.Samples.Host.Commands;

/// <summary>What becomes of a flush that the storage fails.</summary>
internal static class FlushFailureOption
{
    public static Option<string> Instance { get; } = Create();

    public static FlushFailurePolicy Of(ParseResult arguments) => arguments.GetValue(Instance) switch
    {
        "hold" => FlushFailurePolicy.Hold,
        "report" => FlushFailurePolicy.Report,
        _ => new FlushFailurePolicy(),
    };

    private static Option<string> Create()
    {
        var option = new Option<string>("--flush-failure")
        {
            Description = "What becomes of a flush that fails: after some tries the disk is closed, or the guest waits until it works, or is told.",
            DefaultValueFactory = _ => "close",
        };
        option.AcceptOnlyFromAmong("close", "hold", "report");
        return option;
    }
}
