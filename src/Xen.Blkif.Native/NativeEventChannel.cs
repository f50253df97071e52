using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Linux;
using Xen.Blkif.Native.Handles;
using Xen.Blkif.Native.Interop;

namespace Xen.Blkif.Native;

/// <summary>A bound port, with a handle and so a queue of events of its own in the kernel.</summary>
internal sealed unsafe class NativeEventChannel : IEventChannel, IEventDescriptors
{
    private readonly EventChannelHandle _handle = EventChannelHandle.Open();
    private readonly EventFd _doorbell = NativeFailure.CheckDoorbell(new EventFd());
    private readonly nint _raw;
    private readonly int _descriptor;
    private readonly uint _port;

    // An event was taken and its port not unmasked since: the guest's further events wait in the hypervisor.
    private bool _masked;

    public NativeEventChannel(DomainId domain, uint remotePort)
    {
        _raw = _handle.DangerousGetHandle();
        int port = LibXenEvtchn.BindInterdomain(_raw, domain.Value, remotePort);
        if (port < 0)
        {
            HypervisorException failure = NativeFailure.Of($"Event channel {remotePort} of domain {domain} cannot be bound to");
            _handle.Dispose();
            _doorbell.Dispose();
            throw failure;
        }

        _port = (uint)port;
        _descriptor = LibXenEvtchn.FileDescriptor(_raw);
    }

    /// <summary>The port, as this domain names it.</summary>
    public uint Port => _port;

    /// <inheritdoc/>
    public int EventDescriptor => _descriptor;

    /// <inheritdoc/>
    public int WakeDescriptor => _doorbell.Descriptor;

    /// <inheritdoc/>
    public void Unmask()
    {
        if (_masked)
        {
            _masked = false;
            _ = LibXenEvtchn.Unmask(_raw, _port);
        }
    }

    /// <inheritdoc/>
    public void TakeEvent() => _masked = LibXenEvtchn.Pending(_raw) >= 0;

    /// <inheritdoc/>
    public void TakeWake() => _doorbell.Clear();

    /// <inheritdoc/>
    public bool Wait(int millisecondsTimeout)
    {
        // After the work and not before it: a guest that notifies in a loop gets one pass for all that came meanwhile (XSA-332).
        Unmask();
        LibC.PollDescriptor* waited = stackalloc LibC.PollDescriptor[2];
        waited[0] = new LibC.PollDescriptor { Descriptor = _descriptor, Events = LibC.PollIn };
        waited[1] = new LibC.PollDescriptor { Descriptor = _doorbell.Descriptor, Events = LibC.PollIn };
        int ready = LibC.Poll(waited, 2, millisecondsTimeout);
        if (ready <= 0)
            return ready < 0 && Marshal.GetLastPInvokeError() == LibC.Interrupted; // a signal: look at the work, then wait again

        if (waited[1].Returned != 0)
            TakeWake();

        // Polled first, for pending blocks where nothing is.
        if (waited[0].Returned != 0)
            TakeEvent();
        return true;
    }

    /// <inheritdoc/>
    public bool WaitForWake(int millisecondsTimeout)
    {
        LibC.PollDescriptor waited = new() { Descriptor = _doorbell.Descriptor, Events = LibC.PollIn };
        int ready = LibC.Poll(&waited, 1, millisecondsTimeout);
        if (ready > 0)
            TakeWake();
        return ready > 0;
    }

    /// <inheritdoc/>
    public void Notify() => _ = LibXenEvtchn.Notify(_raw, _port); // fails where the guest is gone, whom it would have been for

    /// <inheritdoc/>
    public void Wake() => _doorbell.Signal();

    public void Dispose()
    {
        if (!_handle.IsClosed)
            _ = LibXenEvtchn.Unbind(_raw, _port);
        _handle.Dispose();
        _doorbell.Dispose();
    }
}
