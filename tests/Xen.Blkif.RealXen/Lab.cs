using System.Collections.Concurrent;
using System.Diagnostics;
using System.Formats.Tar;
using System.Globalization;
using System.Reflection;

namespace Xen.Blkif.RealXen;

/// <summary>How a scenario went.</summary>
/// <param name="Status">0 where it succeeded.</param>
/// <param name="Seconds">How long it took.</param>
/// <param name="Log">What it said.</param>
internal sealed record ScenarioResult(int Status, int Seconds, string Log);

/// <summary>Xen and its domain 0 under QEMU's software emulation, booted once for all scenarios, which run one after the other.</summary>
internal sealed class Lab
{
    private static readonly Lazy<Lab> Instance = new(() => new Lab());

    private readonly ConcurrentDictionary<string, TaskCompletionSource<ScenarioResult>> _results = new(StringComparer.Ordinal);

    private Lab()
    {
        foreach (string name in Scenarios)
            _results[name] = new TaskCompletionSource<ScenarioResult>(TaskCreationOptions.RunContinuationsAsynchronously);
        _ = RunAsync();
    }

    /// <summary>The scenarios, which are the scripts of the folder whose names contain <c>XEN_BLKIF_LAB_ONLY</c>.</summary>
    public static IReadOnlyList<string> Scenarios { get; } =
        [.. Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "lab", "scenarios"), $"*{Environment.GetEnvironmentVariable("XEN_BLKIF_LAB_ONLY")}*.sh")
            .Select(file => Path.GetFileNameWithoutExtension(file)).Order(StringComparer.Ordinal)];

    /// <summary>The lab, which is booted with the first call.</summary>
    public static Lab Shared => Instance.Value;

    private static string HostFolder => typeof(Lab).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == "HostFolder").Value!;

    /// <summary>Waits for a scenario to end.</summary>
    public Task<ScenarioResult> ResultOfAsync(string scenario) => _results[scenario].Task;

    private static void Progress(string line) => TestContext.Progress.WriteLine($"lab: {line}");

    private async Task RunAsync()
    {
        try
        {
            string image = await LabImage.GetAsync(Progress);
            DirectoryInfo work = Directory.CreateTempSubdirectory("xen-blkif-lab-");
            try
            {
                await BootAsync(image, Pack(work.FullName));
            }
            finally
            {
                work.Delete(recursive: true);
            }
        }
        catch (Exception e)
        {
            foreach (TaskCompletionSource<ScenarioResult> result in _results.Values)
                result.TrySetException(e);
        }
    }

    // The program and the scenarios travel as an archive, written straight onto the second disk.
    private static string Pack(string work)
    {
        string load = Path.Combine(work, "load");
        CopyFolder(HostFolder, Path.Combine(load, "app"));
        CopyFolder(Path.Combine(AppContext.BaseDirectory, "lab", "scenarios"), Path.Combine(load, "scenarios"));
        File.WriteAllLines(Path.Combine(load, "order"), Scenarios);

        string archive = Path.Combine(work, "load.tar");
        TarFile.CreateFromDirectory(load, archive, includeBaseDirectory: false);
        using FileStream disk = File.Open(archive, FileMode.Open);
        disk.SetLength((disk.Length + 0xFFFFF) & ~0xFFFFFL);
        return archive;
    }

    private static void CopyFolder(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string file in Directory.GetFiles(from))
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
    }

    private async Task BootAsync(string image, string load)
    {
        string[] arguments =
        [
            // Without these features: a PV domain 0 faults on SMAP and SMEP here, and PVH guests on XSAVE.
            "-accel", "tcg,thread=multi", "-cpu", "max,-smap,-smep,-xsave", "-smp", "2", "-m", "3072",
            "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot",
            "-kernel", Path.Combine(image, "xen"),
            "-append", "com1=115200,8n1 console=com1 dom0_mem=1536M,max:1536M dom0_max_vcpus=2 loglvl=warning spec-ctrl=no gnttab_max_frames=256",
            "-initrd", $"{Path.Combine(image, "vmlinuz")} console=hvc0 quiet mitigations=off net.ifnames=0,{Path.Combine(image, "dom0.cpio.gz")}",
            "-drive", $"file={Path.Combine(image, "root.img")},if=virtio,format=raw,snapshot=on",
            "-drive", $"file={load},if=virtio,format=raw,snapshot=on",
        ];
        using Process machine = Process.Start(new ProcessStartInfo("qemu-system-x86_64", arguments) { RedirectStandardOutput = true, RedirectStandardInput = true })!;
        try
        {
            await ListenAsync(machine.StandardOutput);
        }
        finally
        {
            machine.Kill();
        }
    }

    private static int Number(string text) => int.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);

    private async Task ListenAsync(StreamReader console)
    {
        var log = new List<string>();

        // All that the machine says, as it says it, for whoever looks for a scenario that hangs.
        string? copy = Environment.GetEnvironmentVariable("XEN_BLKIF_LAB_CONSOLE");
        await using StreamWriter file = copy is null ? StreamWriter.Null : new StreamWriter(copy) { AutoFlush = true };
        while (await console.ReadLineAsync() is { } line)
        {
            await file.WriteLineAsync(line);
            string[] parts = line.TrimEnd().Split(' ');
            switch (parts)
            {
                case ["@@", "begin", var name]:
                    log.Clear();
                    Progress(name.Replace('_', ' '));
                    break;
                case ["@@", "end", var name, var status, var seconds]:
                    _results[name].TrySetResult(new ScenarioResult(Number(status), Number(seconds), string.Join('\n', log)));
                    break;
                case ["@@", "done"]:
                    return;
                case ["@@", "broken", .. var words]:
                    throw new InvalidOperationException($"The machine is broken: {string.Join(' ', words)}.");
                default:
                    log.Add(line);
                    break;
            }
        }

        throw new InvalidOperationException($"The machine went down. Its last words:\n{string.Join('\n', log.TakeLast(60))}");
    }
}
