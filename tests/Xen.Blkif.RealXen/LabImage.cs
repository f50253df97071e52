using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Xen.Blkif.Tests;

namespace Xen.Blkif.RealXen;

/// <summary>The machine's files, made once by <c>lab/image.sh</c> and kept until the recipe changes.</summary>
internal static class LabImage
{
    private static readonly string[] Tools = ["qemu-system-x86_64", "mke2fs", "cpio", "depmod", "xz", "gcc", "apt-get", "dpkg-deb"];

    /// <summary>Makes the files if they are not there yet.</summary>
    /// <param name="progress">Hears what is going on.</param>
    /// <returns>The folder that they are in.</returns>
    public static async Task<string> GetAsync(Action<string> progress)
    {
        foreach (string tool in Tools)
        {
            if (!new[] { "/usr/bin", "/usr/sbin", "/bin", "/sbin" }.Any(folder => File.Exists(Path.Combine(folder, tool))))
                Requirement.IsMissing($"{tool} is not installed (Debian: apt-get install qemu-system-x86 e2fsprogs cpio kmod xz-utils gcc libxen-dev)");
        }

        string recipe = Path.Combine(AppContext.BaseDirectory, "lab");
        string cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") ?? "/var/tmp";
        string folder = Path.Combine(cache, $"xen-blkif-lab-{FingerprintOf(recipe)}");
        if (File.Exists(Path.Combine(folder, "complete")))
            return folder;

        progress($"making the machine from Debian packages in {folder}");
        var clock = Stopwatch.StartNew();
        using Process build = Process.Start(new ProcessStartInfo("bash", [Path.Combine(recipe, "image.sh"), folder])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        })!;
        Task<string> output = build.StandardOutput.ReadToEndAsync();
        string errors = await build.StandardError.ReadToEndAsync();
        await build.WaitForExitAsync();
        if (build.ExitCode != 0)
            throw new InvalidOperationException($"lab/image.sh failed:\n{await output}\n{errors}");
        await File.WriteAllTextAsync(Path.Combine(folder, "complete"), "");
        progress($"made in {clock.Elapsed.TotalSeconds:0} s");
        return folder;
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
