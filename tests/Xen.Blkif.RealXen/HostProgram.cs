using System.Diagnostics;
using System.Reflection;

namespace Xen.Blkif.RealXen;

/// <summary>The program that serves the disks in domain 0, as native code: emulated processors are slow to compile.</summary>
internal static class HostProgram
{
    private static string Project => typeof(HostProgram).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == "HostProject").Value!;

    /// <summary>Publishes it into a folder.</summary>
    /// <param name="folder">The folder, which is made.</param>
    /// <param name="progress">Hears of it.</param>
    /// <exception cref="InvalidOperationException">It cannot be published; the message has what the compiler said.</exception>
    public static async Task PublishAsync(string folder, Action<string> progress)
    {
        progress("publishing xen-blkif");

        // Artifacts of its own: the solution's are others' to write.
        DirectoryInfo artifacts = Directory.CreateTempSubdirectory("xen-blkif-publish-");
        try
        {
            string[] arguments =
            [
                "publish", Project, "-c", "Release", "-r", "linux-x64", "-p:Native=true", "--artifacts-path", artifacts.FullName, "-o", folder,
                "-v", "quiet",
            ];
            using Process publish = Process.Start(new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true })!;
            string output = await publish.StandardOutput.ReadToEndAsync();
            await publish.WaitForExitAsync();
            if (publish.ExitCode != 0)
                throw new InvalidOperationException($"xen-blkif cannot be published:\n{output}");
        }
        finally
        {
            artifacts.Delete(recursive: true);
        }
    }
}
