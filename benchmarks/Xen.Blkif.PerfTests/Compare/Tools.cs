namespace Xen.Blkif.PerfTests.Compare;

/// <summary>Programs of the system.</summary>
internal static class Tools
{
    /// <summary>Whether a program is installed.</summary>
    public static bool Has(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, name)));
}
