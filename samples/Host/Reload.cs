using System.Runtime.InteropServices;

namespace Xen.Blkif.Samples.Host;

/// <summary>Hears when the operator has changed the size of a disk's storage, and has it read again.</summary>
internal sealed class Reload(Action readSizes) : IDisposable
{
    public const string Help = "SIGHUP has sizes read again, and tells guests of storage that has become larger or smaller.";

    private readonly PosixSignalRegistration _signal = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
    {
        // Otherwise the signal would end the program.
        context.Cancel = true;
        readSizes();
    });

    public void Dispose() => _signal.Dispose();
}
