using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Xen.Blkif.Tests;

namespace Xen.Blkif.RealXen;

/// <summary>The machine's files, made once by <c>lab/image.sh</c> and kept until the recipe changes.</summary>
internal static class LabImage
{
    private static readonly string[] Tools = ["qemu-system-x86_64", "mke2fs", "cpio", "depmod", "xz", "gcc", "apt-get", "dpkg-deb"];

    /// <summary>Ignores the test, by name of what is missing, where the machine cannot be made.</summary>
    public static void RequireTools()
    {
        foreach (string tool in Tools)
        {
            if (!new[] { "/usr/bin", "/usr/sbin", "/bin", "/sbin" }.Any(folder => File.Exists(Path.Combine(folder, tool))))
                Requirement.IsMissing($"{tool} is not installed (Debian: apt-get install qemu-system-x86 e2fsprogs cpio kmod xz-utils gcc libxen-dev zlib1g-dev)");
        }

        if (!File.Exists("/usr/include/xen/io/blkif.h"))
            Requirement.IsMissing("Xen's headers are not installed (Debian: apt-get install libxen-dev)");
        if (!File.Exists("/usr/include/zlib.h"))
            Requirement.IsMissing("zlib's headers are not installed, which native code is linked with (Debian: apt-get install zlib1g-dev)");
        if (!File.ReadLines("/etc/os-release").Contains("VERSION_CODENAME=bookworm"))
            Requirement.IsMissing("this is not Debian 12 (bookworm), whose packages the machine is made of");
    }

    /// <summary>Makes the files if they are not there yet.</summary>
    /// <param name="progress">Hears what is going on.</param>
    /// <returns>The folder that they are in.</returns>
    public static async Task<string> GetAsync(Action<string> progress)
    {
        string recipe = Path.Combine(AppContext.BaseDirectory, "lab");
        string cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") ?? "/var/tmp";
        string folder = Path.Combine(cache, $"xen-blkif-lab-{FingerprintOf(recipe)}");
        if (File.Exists(Path.Combine(folder, "complete")))
            return folder;

        progress($"making the machine from Debian packages in {folder}");
        Directory.CreateDirectory(cache);
        RemoveOld(cache);

        // Under a name of its own until it is whole: another run may make the same.
        string unready = $"{folder}.{Environment.ProcessId}";
        var clock = Stopwatch.StartNew();
        using Process build = Process.Start(new ProcessStartInfo("bash", [Path.Combine(recipe, "image.sh"), unready])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        })!;
        Task<string> output = build.StandardOutput.ReadToEndAsync();
        string errors = await build.StandardError.ReadToEndAsync();
        await build.WaitForExitAsync();
        if (build.ExitCode != 0)
            throw new InvalidOperationException($"lab/image.sh failed:\n{await output}\n{errors}");
        await File.WriteAllTextAsync(Path.Combine(unready, "complete"), "");
        if (Directory.Exists(folder))
            Directory.Delete(unready, recursive: true);
        else
            Directory.Move(unready, folder);
        progress($"made in {clock.Elapsed.TotalSeconds:0} s");
        return folder;
    }

    // A machine is a gigabyte and more. One that was made a week ago for another recipe is not likely to be used again.
    private static void RemoveOld(string cache)
    {
        foreach (string folder in Directory.GetDirectories(cache, "xen-blkif-lab-*"))
        {
            if (Directory.GetLastWriteTimeUtc(folder) < DateTime.UtcNow.AddDays(-7))
                Directory.Delete(folder, recursive: true);
        }
    }

    // The scenarios travel apart; what is baked into the image is everything else of the recipe, and .NET.
    private static string FingerprintOf(string recipe)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string file in Directory.GetFiles(recipe).Order(StringComparer.Ordinal))
            hash.AppendData(File.ReadAllBytes(file));
        hash.AppendData(Encoding.UTF8.GetBytes(Environment.Version.ToString()));
        return Convert.ToHexString(hash.GetHashAndReset())[..12].ToLowerInvariant();
    }
}
