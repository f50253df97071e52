using System.ComponentModel;
using System.Diagnostics;
using Xen.Blkif.PerfTests.Transport;

namespace Xen.Blkif.PerfTests.Compare;

/// <summary>Another program, ended with this object.</summary>
internal sealed class ChildProcess : IDisposable
{
    private readonly Process _process;
    private readonly Task<string> _output;
    private readonly Task<string> _errors;

    /// <summary>Starts a program.</summary>
    /// <exception cref="UserException">There is no such program.</exception>
    public ChildProcess(string program, params IEnumerable<string> arguments)
    {
        Name = Path.GetFileName(program);
        try
        {
            _process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        }
        catch (Win32Exception e)
        {
            throw new UserException($"{Name} cannot be started: {e.Message}");
        }

        _output = _process.StandardOutput.ReadToEndAsync();
        _errors = _process.StandardError.ReadToEndAsync();
    }

    public string Name { get; }

    public int Id => _process.Id;

    public bool HasEnded => _process.HasExited;

    /// <summary>The processor's time that it took so far, with that of threads that have ended.</summary>
    public TimeSpan ProcessorTime => LibC.ProcessorTimeOf(Id);

    /// <summary>Waits for its end.</summary>
    /// <returns>What it wrote.</returns>
    /// <exception cref="InvalidOperationException">It failed.</exception>
    public async Task<string> EndAsync()
    {
        await _process.WaitForExitAsync();
        string output = await _output;
        return _process.ExitCode == 0
            ? output
            : throw new InvalidOperationException($"{Name} ended with {_process.ExitCode}: {(await _errors).Trim()}");
    }

    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }
}
