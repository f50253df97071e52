namespace Xen.Blkif.PerfTests;

/// <summary>This program, to be run once more.</summary>
internal static class ThisProgram
{
    /// <summary>The command, without arguments.</summary>
    // Run by the runtime's own host, the program is named by its assembly.
    public static IReadOnlyList<string> Command { get; } = Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "Xen.Blkif.PerfTests"
        ? [Environment.ProcessPath!]
        : ["dotnet", typeof(ThisProgram).Assembly.Location];
}
