namespace Xen.Blkif.Tests;

/// <summary>Where the sources are that the tests were made of.</summary>
internal static class Repository
{
    public static string Root { get; } = Find();

    private static string Find()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "Xen.Blkif.sln")))
            folder = Path.GetDirectoryName(folder);
        return folder ?? throw new DirectoryNotFoundException("There is no Xen.Blkif.sln above the tests.");
    }
}
