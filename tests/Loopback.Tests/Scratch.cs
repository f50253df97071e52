using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.Samples.Loopback.Tests;

/// <summary>A folder for the files of one test.</summary>
internal sealed class Scratch : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public string PathOf(string name) => _folder.PathOf(name);

    /// <summary>Makes a file of random bytes.</summary>
    public string Random(string name, int length, int seed = 1)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return _folder.Add(name, bytes);
    }

    /// <summary>Makes a file of zeros that takes no room.</summary>
    public string Blank(string name, long length) => _folder.AddSparse(name, length);

    /// <summary>Makes an ext4 image with files in it.</summary>
    public async Task<string> FileSystemAsync(string name, int mebibytes, int contentBytes)
    {
        DirectoryInfo content = Directory.CreateDirectory(PathOf("content"));
        Random(Path.Combine("content", "random.bin"), contentBytes, seed: 2);
        File.WriteAllText(Path.Combine(content.FullName, "words.txt"), string.Concat(Enumerable.Repeat("xvda ", 10_000)));
        string image = PathOf(name);
        Tool.Result made = await Tool.RunDebianAsync("mke2fs", "e2fsprogs", "-q", "-t", "ext4", "-d", content.FullName, image, $"{mebibytes}M");
        Assert.That(made.ExitCode, Is.Zero, made.Errors);
        return image;
    }

    public void Dispose() => _folder.Dispose();
}
