using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Xen.Blkif.Tests.Targets;

/// <summary>
/// Watches the system calls that the calling thread, and no other, makes on one file, and has some of them fail as the kernel would: by
/// strace, which holds on to the thread until this is disposed.
/// </summary>
internal sealed class TracedThread : IDisposable
{
    private const int Interrupt = 2; // SIGINT
    private const int SetTracer = 0x59616d61; // PR_SET_PTRACER
    private const nint AnyProcess = -1; // PR_SET_PTRACER_ANY
    private readonly Process _strace;
    private readonly string _log;

    private TracedThread(Process strace, string log)
    {
        _strace = strace;
        _log = log;
    }

    /// <summary>Takes hold of the calling thread. Ends the test where strace cannot.</summary>
    /// <param name="folder">Where the log goes.</param>
    /// <param name="path">The file whose calls count.</param>
    /// <param name="expressions">What to watch and what to inject, as after strace's <c>-e</c>.</param>
    public static TracedThread Attach(TemporaryFolder folder, string path, params string[] expressions)
    {
        if (new FileInfo("/proc/thread-self").LinkTarget is not { } self)
        {
            Requirement.IsMissing("there is no /proc to find the thread in");
            return null;
        }

        string log = Path.Combine(folder.Path, $"strace-{Guid.NewGuid():N}");
        var start = new ProcessStartInfo("strace") { RedirectStandardError = true };
        foreach (string argument in (string[])["-o", log, "-P", path, "-p", Path.GetFileName(self), .. expressions.SelectMany(e => (string[])["-e", e])])
            start.ArgumentList.Add(argument);

        // Where only a parent may watch its children (Yama), this asks for the opposite. Elsewhere it fails and is not needed.
        _ = Control(SetTracer, AnyProcess);

        Process strace;
        try
        {
            strace = Process.Start(start)!;
        }
        catch (Win32Exception)
        {
            Requirement.IsMissing("strace is not installed (Debian: apt-get install strace)");
            return null;
        }

        var said = new List<string>();
        while (strace.StandardError.ReadLine() is { } line)
        {
            said.Add(line);
            if (line.EndsWith(" attached", StringComparison.Ordinal))
                return new TracedThread(strace, log);
        }

        strace.Dispose();
        Requirement.IsMissing($"strace cannot watch this process ({string.Join("; ", said)})");
        return null;
    }

    /// <summary>Lets go of the thread.</summary>
    /// <returns>The calls, one a line, as strace writes them.</returns>
    public string[] Release()
    {
        if (!_strace.HasExited)
            _ = Kill(_strace.Id, Interrupt);
        _ = _strace.StandardError.ReadToEnd();
        _strace.WaitForExit();
        return File.Exists(_log) ? File.ReadAllLines(_log) : [];
    }

    public void Dispose()
    {
        Release();
        _strace.Dispose();
    }

    [DllImport("libc", EntryPoint = "prctl")]
    private static extern int Control(int option, nint value);

    [DllImport("libc", EntryPoint = "kill")]
    private static extern int Kill(int process, int signal);
}
