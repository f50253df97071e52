using System.Diagnostics;
using System.Formats.Tar;

namespace Xen.Blkif.RealXen;

/// <summary>Xen and its domain 0 under QEMU's software emulation: boots once, runs scripts there one after the other, and tells of them.</summary>
/// <param name="scripts">The scripts' files, in their order. Each is run in a shell that has the functions of <c>lab/dom0.sh</c>.</param>
/// <param name="listener">Hears how it goes.</param>
internal sealed class Lab(IReadOnlyList<string> scripts, LabListener listener)
{
    /// <summary>How long a script may take, in seconds.</summary>
    public int SecondsForEach { get; init; } = 400;

    /// <summary>What the scripts find in their environment.</summary>
    public IReadOnlyDictionary<string, string> Settings { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Makes the machine where that is needed, boots it, and runs the scripts.</summary>
    /// <exception cref="InvalidOperationException">The machine cannot be made, or went down; the message has its last words.</exception>
    public async Task RunAsync()
    {
        LabImage.RequireTools();
        DirectoryInfo work = Directory.CreateTempSubdirectory("xen-blkif-lab-");
        try
        {
            Task<string> image = LabImage.GetAsync(listener.Progress);
            await Task.WhenAll(image, HostProgram.PublishAsync(Path.Combine(work.FullName, "load", "app"), listener.Progress));
            await BootAsync(await image, Pack(work.FullName));
        }
        finally
        {
            work.Delete(recursive: true);
        }
    }

    // The program and the scripts travel as an archive, written straight onto the second disk.
    private string Pack(string work)
    {
        string load = Path.Combine(work, "load");
        string folder = Directory.CreateDirectory(Path.Combine(load, "scripts")).FullName;
        foreach (string script in scripts)
            File.Copy(script, Path.Combine(folder, $"{Path.GetFileNameWithoutExtension(script)}.sh"));
        File.WriteAllLines(Path.Combine(load, "order"), scripts.Select(script => Path.GetFileNameWithoutExtension(script)));
        File.WriteAllLines(Path.Combine(load, "settings"), [$"seconds_for_each={SecondsForEach}", .. Settings.Select(setting => $"export {setting.Key}='{setting.Value}'")]);
        string own = Directory.CreateDirectory(Path.Combine(load, "lab")).FullName;
        foreach (string file in Directory.GetFiles(AppContext.BaseDirectory))
            File.Copy(file, Path.Combine(own, Path.GetFileName(file)));
        foreach (string document in Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "docs")))
            File.Copy(document, Path.Combine(load, Path.GetFileName(document)));

        string archive = Path.Combine(work, "load.tar");
        TarFile.CreateFromDirectory(load, archive, includeBaseDirectory: false);
        using FileStream disk = File.Open(archive, FileMode.Open);
        disk.SetLength((disk.Length + 0xFFFFF) & ~0xFFFFFL);
        return archive;
    }

    private async Task BootAsync(string image, string load)
    {
        string[] arguments =
        [
            // Without these features: a PV domain 0 faults on SMAP and SMEP here, and PVH guests on XSAVE.
            "-accel", "tcg,thread=multi", "-cpu", "max,-smap,-smep,-xsave", "-smp", "2", "-m", "4608",
            "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot",
            "-kernel", Path.Combine(image, "xen"),
            "-append", "com1=115200,8n1 console=com1 dom0_mem=1536M,max:1536M dom0_max_vcpus=2 loglvl=warning spec-ctrl=no bootscrub=off gnttab_max_frames=512",
            "-initrd", $"{Path.Combine(image, "vmlinux")} console=hvc0 quiet mitigations=off cryptomgr.notests net.ifnames=0,{Path.Combine(image, "dom0.cpio.gz")}",
            "-drive", $"file={Path.Combine(image, "root.img")},if=virtio,format=raw,snapshot=on",
            "-drive", $"file={load},if=virtio,format=raw,snapshot=on",
        ];
        using Process machine = Process.Start(new ProcessStartInfo("qemu-system-x86_64", arguments) { RedirectStandardOutput = true, RedirectStandardInput = true })!;

        // A test run that is broken off must not leave the machine running.
        void Stop(object? sender, EventArgs e) => machine.Kill();
        AppDomain.CurrentDomain.ProcessExit += Stop;
        try
        {
            await new LabConsole(machine.StandardOutput, listener).ListenAsync();
        }
        finally
        {
            AppDomain.CurrentDomain.ProcessExit -= Stop;
            machine.Kill();
        }
    }
}
