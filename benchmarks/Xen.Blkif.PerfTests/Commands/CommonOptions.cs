using System.CommandLine;

namespace Xen.Blkif.PerfTests.Commands;

/// <summary>Options that several commands have.</summary>
internal static class CommonOptions
{
    public static Option<string?> Json { get; } = new("--json") { Description = "Also writes the rows to this file, as a JSON array.", HelpName = "FILE" };

    public static Option<string> File { get; } = new("--file") { Description = "The disk: a file or a block device. Writes destroy what is in it.", HelpName = "PATH", Required = true };

    /// <summary>The value of an option that counts something.</summary>
    /// <exception cref="UserException">It is less than 1.</exception>
    public static int AtLeastOne(ParseResult arguments, Option<int> option) =>
        arguments.GetValue(option) is var value and > 0 ? value : throw new UserException($"{option.Name} is at least 1.");
}
