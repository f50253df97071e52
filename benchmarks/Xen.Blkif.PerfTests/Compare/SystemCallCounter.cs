using System.Globalization;

namespace Xen.Blkif.PerfTests.Compare;

/// <summary>Counts the system calls of a process, by <c>perf stat</c>.</summary>
internal static class SystemCallCounter
{
    private static readonly string[] Options = ["stat", "-x", ",", "-e", "raw_syscalls:sys_enter"];

    /// <summary>The program to run under the counter, and its first arguments: what follows are the program and its own.</summary>
    /// <param name="output">The file for <see cref="Read"/>.</param>
    public static IEnumerable<string> OptionsFor(string output) => [.. Options, "-o", output, "--"];

    /// <summary>The same for a process that runs already: what follows is a command for the length of whose life it is counted.</summary>
    public static IEnumerable<string> OptionsFor(string output, int process) =>
        [.. Options, "-o", output, "-p", process.ToString(CultureInfo.InvariantCulture), "--"];

    /// <summary>Reads the count.</summary>
    /// <returns>The count; none where perf may not count.</returns>
    public static double? Read(string output)
    {
        string? line = File.Exists(output) ? File.ReadLines(output).FirstOrDefault(line => line.Contains("raw_syscalls", StringComparison.Ordinal)) : null;
        return double.TryParse(line?.Split(',')[0], CultureInfo.InvariantCulture, out double count) ? count : null;
    }
}
