namespace Xen.Blkif.Tests.Targets;

/// <summary>A folder of a test's own. Its name is short: sockets in it have names of at most 107 bytes.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("xen-blkif-").FullName;

    public string PathOf(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>Makes a file.</summary>
    /// <returns>Its path.</returns>
    public string Add(string name, byte[] content)
    {
        string path = PathOf(name);
        File.WriteAllBytes(path, content);
        return path;
    }

    /// <summary>Makes a file of zeros that takes no space.</summary>
    /// <returns>Its path.</returns>
    public string AddSparse(string name, long length)
    {
        string path = Add(name, []);
        using FileStream file = File.OpenWrite(path);
        file.SetLength(length);
        return path;
    }

    /// <summary>Files in the folder that this process has open, as the kernel says.</summary>
    public string[] OpenFiles() => !OperatingSystem.IsLinux()
        ? []
        : [.. Directory.GetFileSystemEntries("/proc/self/fd")
            .Select(entry => new FileInfo(entry).LinkTarget ?? "")
            .Where(target => target.StartsWith(Path + "/", StringComparison.Ordinal))];

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
