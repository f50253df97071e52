using System.Runtime.InteropServices;

namespace Xen.Blkif.Samples.Host;

/// <summary>Hears when the operator has changed the size of a disk's storage, and has it read again.</summary>
internal sealed class Reload : IDisposable
{
    public const string Help = "SIGHUP has sizes read again, and tells guests of storage that has become larger or smaller.";

    private readonly PosixSignalRegistration _signal;
    private volatile Action? _readSizes;

    public Reload()
    {
        _signal = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
        {
            // Otherwise the signal would end the program, and with it every disk.
            context.Cancel = true;
            _readSizes?.Invoke();
        });
    }

    /// <summary>What the signal does from now on; before, there is no disk that it could be about.</summary>
    public void Reads(Action sizes) => _readSizes = sizes;

    public void Dispose() => _signal.Dispose();
}
