using System.CommandLine;

namespace Xen.Blkif.PerfTests.Commands;

/// <summary>Options that several commands have.</summary>
internal static class CommonOptions
{
    public static Option<string?> Json { get; } = new("--json") { Description = "Also writes the rows to this file, as a JSON array.", HelpName = "FILE" };

    public static Option<string> File { get; } = new("--file") { Description = "The disk: a file or a block device. Writes destroy what is in it.", HelpName = "PATH", Required = true };

    public static Option<string> Only { get; } = new("--only")
    {
        Description = "Only the workloads whose names contain this.", DefaultValueFactory = _ => "", HelpName = "WORDS",
    };

    /// <summary>Those workloads whose names contain what <see cref="Only"/> says.</summary>
    /// <exception cref="UserException">There are none.</exception>
    public static IReadOnlyList<T> Select<T>(ParseResult arguments, IReadOnlyList<T> all, Func<T, string> name)
    {
        string words = arguments.GetValue(Only)!;
        T[] selected = [.. all.Where(workload => name(workload).Contains(words, StringComparison.Ordinal))];
        return selected.Length > 0 ? selected : throw new UserException($"No workload's name contains '{words}': there are {string.Join(", ", all.Select(name))}.");
    }

    /// <summary>The value of an option that counts something.</summary>
    /// <exception cref="UserException">It is less than 1.</exception>
    public static int AtLeastOne(ParseResult arguments, Option<int> option) =>
        arguments.GetValue(option) is var value and > 0 ? value : throw new UserException($"{option.Name} is at least 1.");

    /// <summary>The value of an option that is a time in seconds.</summary>
    /// <exception cref="UserException">It is not more than 0.</exception>
    public static double Seconds(ParseResult arguments, Option<double> option) =>
        arguments.GetValue(option) is var value and > 0 ? value : throw new UserException($"{option.Name} is more than 0.");
}
