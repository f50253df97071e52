using System.CommandLine;
using System.CommandLine.Parsing;
using Xen.Blkif.Engine;

namespace Xen.Blkif.Samples.Host.Commands;

/// <summary>What the disks of the process may take together.</summary>
internal static class MaxMemoryOption
{
    public static Option<MemoryBudget> Instance { get; } = new("--max-memory")
    {
        HelpName = "SIZE",
        Description = "What all disks together take for large requests and for pages of guests that stay mapped. Each disk has a little beside it, so that none stands still. [default: 192M]",
        DefaultValueFactory = _ => MemoryBudget.Shared,
        CustomParser = Parse,
    };

    private static MemoryBudget? Parse(ArgumentResult result)
    {
        if (ByteSize.TryParse(result.Tokens[0].Value, out long size) && size >= 0)
            return new MemoryBudget(size);
        result.AddError($"--max-memory '{result.Tokens[0].Value}' is no size: write one such as 64M.");
        return null;
    }
}
