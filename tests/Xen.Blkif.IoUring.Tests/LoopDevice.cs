using System.Diagnostics;

namespace Xen.Blkif.IoUring.Tests;

/// <summary>A file as a block device.</summary>
internal sealed class LoopDevice : IDisposable
{
    private LoopDevice(string path) => Path = path;

    /// <summary>The device's node.</summary>
    public string Path { get; }

    /// <summary>Makes one of a file. Ends the test where this system has none, or this user may not.</summary>
    /// <param name="file">The file.</param>
    /// <param name="sectorSize">The device's sectors, in bytes.</param>
    public static LoopDevice Of(string file, int sectorSize = 512)
    {
        if (!Environment.IsPrivilegedProcess || !File.Exists("/dev/loop-control"))
            Assert.Ignore("ignored: block devices of files (losetup) need root and a kernel that has them");
        return new LoopDevice(Losetup("--find", "--show", "--sector-size", $"{sectorSize}", file).Trim());
    }

    public void Dispose() => Losetup("--detach", Path);

    private static string Losetup(params string[] arguments)
    {
        using Process losetup = Process.Start(new ProcessStartInfo("losetup", arguments) { RedirectStandardOutput = true })!;
        string said = losetup.StandardOutput.ReadToEnd();
        losetup.WaitForExit();
        Assert.That(losetup.ExitCode, Is.Zero, "losetup fails");
        return said;
    }
}
