namespace Xen.Blkif.Hypervisor;

/// <summary>
/// What an <see cref="IEventChannel"/> may offer besides: descriptors to poll, for an owner that waits for other things at the same time
/// and with the same system call.
/// </summary>
/// <remarks>
/// Used by the one thread that owns the channel, which then calls neither <see cref="IEventChannel.Wait"/> nor
/// <see cref="IEventChannel.WaitForWake"/>. The same holds of masking as there: the port stays masked from <see cref="TakeEvent"/> until
/// <see cref="Unmask"/>, which is called when the owner is about to wait, and not before (XSA-332). The descriptors are valid until the
/// channel is disposed.
/// </remarks>
public interface IEventDescriptors
{
    /// <summary>Readable while the other end has notified and <see cref="TakeEvent"/> was not called yet.</summary>
    int EventDescriptor { get; }

    /// <summary>Readable while <see cref="IEventChannel.Wake"/> was called and <see cref="TakeWake"/> was not yet.</summary>
    int WakeDescriptor { get; }

    /// <summary>Lets the next notification of the other end through. Does nothing where the port is not masked.</summary>
    void Unmask();

    /// <summary>Takes the notification and leaves the port masked. Only where <see cref="EventDescriptor"/> is readable, for it may block elsewhere.</summary>
    void TakeEvent();

    /// <summary>Takes all wake-ups so far.</summary>
    void TakeWake();
}
