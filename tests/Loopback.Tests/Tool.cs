using System.Diagnostics;
using Xen.Blkif.Tests;

namespace Xen.Blkif.Samples.Loopback.Tests;

/// <summary>Runs programs and keeps what they say.</summary>
internal static class Tool
{
    internal sealed record Result(int ExitCode, string Output, string Errors);

    /// <summary>Runs the sample.</summary>
    public static Task<Result> LoopbackAsync(params string[] arguments) =>
        RunAsync("dotnet", [Path.Combine(AppContext.BaseDirectory, "loopback.dll"), .. arguments]);

    /// <summary>Runs a Debian tool, or ends the test where it is missing.</summary>
    public static Task<Result> RunDebianAsync(string name, string package, params string[] arguments)
    {
        string? path = new[] { "/usr/sbin", "/sbin", "/usr/bin", "/bin" }.Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);
        if (path is null)
            Requirement.IsMissing($"{name} is not installed (Debian: apt-get install {package})");
        return RunAsync(path, arguments);
    }

    private static async Task<Result> RunAsync(string program, IEnumerable<string> arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return new Result(process.ExitCode, await output, await errors);
    }
}
