using System.Runtime.InteropServices;

namespace Xen.Blkif.Samples.Host;

/// <summary>Hears when the operator wants the program to end.</summary>
internal sealed class Stop : IDisposable
{
    private readonly TaskCompletionSource _requested = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<PosixSignalRegistration> _signals = [];

    public Stop()
    {
        foreach (PosixSignal signal in new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM })
        {
            _signals.Add(PosixSignalRegistration.Create(signal, context =>
            {
                // The first one asks; a second one ends the program where it is.
                context.Cancel = _requested.TrySetResult();
            }));
        }
    }

    /// <summary>Completes with the first SIGINT or SIGTERM.</summary>
    public Task Requested => _requested.Task;

    public void Dispose() => _signals.ForEach(signal => signal.Dispose());
}
