using System.ComponentModel;
using System.Diagnostics;

namespace Xen.Blkif.PerfTests.Reference;

/// <summary>Makes programs and libraries of the C in <c>benchmarks/reference</c>.</summary>
internal static class CCompiler
{
    private const string Flags = "-std=gnu11 -Wall -Wextra -Werror -O2";
    private const string Remedy = "(Debian: apt-get install gcc libc6-dev libxen-dev)";

    /// <summary>Makes a library.</summary>
    /// <param name="source">The file's name.</param>
    /// <param name="output">The library's path.</param>
    /// <exception cref="UserException">There is no compiler, or Xen's headers are not installed.</exception>
    public static void MakeLibrary(string source, string output) => Run($"{Flags} -fPIC -fvisibility=hidden -shared", [source], output);

    /// <summary>Makes a program.</summary>
    /// <param name="sources">The files' names.</param>
    /// <param name="output">The program's path.</param>
    /// <exception cref="UserException">There is no compiler, or Xen's headers are not installed.</exception>
    public static void MakeProgram(IEnumerable<string> sources, string output) => Run(Flags, sources, output);

    private static void Run(string flags, IEnumerable<string> sources, string output)
    {
        string paths = string.Join(' ', sources.Select(source => $"\"{Path.Combine(AppContext.BaseDirectory, "reference", source)}\""));
        try
        {
            using Process gcc = Process.Start(new ProcessStartInfo("gcc", $"{flags} {paths} -o \"{output}\"") { RedirectStandardError = true })!;
            string errors = gcc.StandardError.ReadToEnd();
            gcc.WaitForExit();
            if (gcc.ExitCode == 0)
                return;
            throw errors.Contains("xen/", StringComparison.Ordinal) && errors.Contains("No such file", StringComparison.Ordinal)
                ? new UserException($"Xen's headers are not installed {Remedy}.")
                : new UserException($"gcc failed:\n{errors}");
        }
        catch (Win32Exception)
        {
            throw new UserException($"gcc is not installed {Remedy}.");
        }
    }
}
