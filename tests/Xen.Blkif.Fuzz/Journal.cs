namespace Xen.Blkif.Fuzz;

/// <summary>Names the episode that is played in a file, which is there afterwards only if the process died of it.</summary>
internal static class Journal
{
    public static string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"xen-blkif-fuzz-{Environment.ProcessId}");

    public static void Note(Episode episode) => File.WriteAllText(Path, episode.ToString());

    public static void Remove() => File.Delete(Path);
}
