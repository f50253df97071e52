using Microsoft.Win32.SafeHandles;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.PerfTests.Transport;

/// <summary>Two eventfds of a client in the part of an event channel, and one to be woken by.</summary>
internal sealed unsafe class EventFdChannel : IEventChannel
{
    private readonly SafeFileHandle _kick;
    private readonly SafeFileHandle _call;
    private readonly SafeFileHandle _wake = new(LibC.EventFd(0, LibC.CloseOnExec | LibC.NonBlocking), ownsHandle: true);

    // Read on the way of every event: without the reference that a handle counts for each call.
    private readonly int _kickDescriptor;
    private readonly int _callDescriptor;
    private readonly int _wakeDescriptor;

    /// <param name="kick">The client's notifications come from here. Closed with the channel.</param>
    /// <param name="call">Those for the client go there. Closed with the channel.</param>
    public EventFdChannel(SafeFileHandle kick, SafeFileHandle call)
    {
        _kick = kick;
        _call = call;
        _kickDescriptor = (int)kick.DangerousGetHandle();
        _callDescriptor = (int)call.DangerousGetHandle();
        _wakeDescriptor = (int)_wake.DangerousGetHandle();
    }

    public bool Wait(int millisecondsTimeout)
    {
        LibC.PollDescriptor* waited = stackalloc LibC.PollDescriptor[2];
        waited[0] = new LibC.PollDescriptor { Descriptor = _kickDescriptor, Events = LibC.PollIn };
        waited[1] = new LibC.PollDescriptor { Descriptor = _wakeDescriptor, Events = LibC.PollIn };
        if (LibC.Poll(waited, 2, millisecondsTimeout) <= 0)
            return false;
        if (waited[0].Returned != 0)
            Clear(_kickDescriptor);
        if (waited[1].Returned != 0)
            Clear(_wakeDescriptor);
        return true;
    }

    public bool WaitForWake(int millisecondsTimeout)
    {
        LibC.PollDescriptor waited = new() { Descriptor = _wakeDescriptor, Events = LibC.PollIn };
        if (LibC.Poll(&waited, 1, millisecondsTimeout) <= 0)
            return false;
        Clear(_wakeDescriptor);
        return true;
    }

    public void Notify() => Signal(_callDescriptor);

    public void Wake()
    {
        if (!_wake.IsClosed)
            Signal(_wakeDescriptor);
    }

    public void Dispose()
    {
        _kick.Dispose();
        _call.Dispose();
        _wake.Dispose();
    }

    private static void Signal(int descriptor)
    {
        ulong one = 1;
        _ = LibC.Write(descriptor, &one, sizeof(ulong));
    }

    private static void Clear(int descriptor)
    {
        ulong events;
        _ = LibC.Read(descriptor, &events, sizeof(ulong));
    }
}
