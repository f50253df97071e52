namespace Xen.Blkif.Samples.Host.Tests;

/// <summary>A folder for the files of one test. Its name is short: sockets in it have names of at most 107 bytes.</summary>
internal sealed class Folder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("xb-");

    public string Path => _folder.FullName;

    public string PathOf(string name) => System.IO.Path.Combine(_folder.FullName, name);

    public void Dispose() => _folder.Delete(recursive: true);
}
