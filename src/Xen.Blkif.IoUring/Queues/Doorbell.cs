using Xen.Blkif.Hypervisor;
using Xen.Blkif.Linux;

namespace Xen.Blkif.IoUring.Queues;

/// <summary>What a queue waits for whose owner waits elsewhere: new requests, and the end.</summary>
internal sealed class Doorbell : IEventDescriptors, IDisposable
{
    private readonly EventFd _bell = new();

    /// <exception cref="IOException">The system has no descriptor left.</exception>
    public Doorbell()
    {
        if (_bell.IsInvalid)
            throw new IOException("An eventfd cannot be made.");
    }

    /// <inheritdoc/>
    // There is one bell, which is polled for both.
    public int EventDescriptor => _bell.Descriptor;

    /// <inheritdoc/>
    public int WakeDescriptor => _bell.Descriptor;

    public void Ring() => _bell.Signal();

    /// <inheritdoc/>
    public void Unmask()
    {
        // Nobody rings it but the owner.
    }

    /// <inheritdoc/>
    public void TakeEvent() => _bell.Clear();

    /// <inheritdoc/>
    public void TakeWake() => _bell.Clear();

    public void Dispose() => _bell.Dispose();
}
