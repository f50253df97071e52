using Microsoft.Win32.SafeHandles;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Linux;

namespace Xen.Blkif.PerfTests.Transport;

/// <summary>Two eventfds of a client in the part of an event channel, and one to be woken by.</summary>
internal sealed unsafe class EventFdChannel : IEventChannel, IEventDescriptors
{
    private readonly SafeFileHandle _kick;
    private readonly SafeFileHandle _call;
    private readonly EventFd _wake = new();

    // Used on the way of every event: without the reference that a handle counts for each call.
    private readonly int _kickDescriptor;
    private readonly int _callDescriptor;

    /// <param name="kick">The client's notifications come from here. Closed with the channel.</param>
    /// <param name="call">Those for the client go there. Closed with the channel.</param>
    public EventFdChannel(SafeFileHandle kick, SafeFileHandle call)
    {
        _kick = kick;
        _call = call;
        _kickDescriptor = (int)kick.DangerousGetHandle();
        _callDescriptor = (int)call.DangerousGetHandle();
    }

    public int EventDescriptor => _kickDescriptor;

    public int WakeDescriptor => _wake.Descriptor;

    public bool Wait(int millisecondsTimeout)
    {
        LibC.PollDescriptor* waited = stackalloc LibC.PollDescriptor[2];
        waited[0] = new LibC.PollDescriptor { Descriptor = _kickDescriptor, Events = LibC.PollIn };
        waited[1] = new LibC.PollDescriptor { Descriptor = _wake.Descriptor, Events = LibC.PollIn };
        if (LibC.Poll(waited, 2, millisecondsTimeout) <= 0)
            return false;
        if (waited[0].Returned != 0)
            TakeEvent();
        if (waited[1].Returned != 0)
            TakeWake();
        return true;
    }

    public bool WaitForWake(int millisecondsTimeout)
    {
        LibC.PollDescriptor waited = new() { Descriptor = _wake.Descriptor, Events = LibC.PollIn };
        if (LibC.Poll(&waited, 1, millisecondsTimeout) <= 0)
            return false;
        TakeWake();
        return true;
    }

    public void Unmask()
    {
        // Notifications of a client that storms add up in one number.
    }

    public void TakeEvent()
    {
        ulong events;
        _ = LibC.Read(_kickDescriptor, &events, sizeof(ulong));
    }

    public void TakeWake() => _wake.Clear();

    public void Notify()
    {
        ulong one = 1;
        _ = LibC.Write(_callDescriptor, &one, sizeof(ulong));
    }

    public void Wake() => _wake.Signal();

    public void Dispose()
    {
        _kick.Dispose();
        _call.Dispose();
        _wake.Dispose();
    }
}
