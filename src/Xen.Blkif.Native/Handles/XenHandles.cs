using System.Runtime.InteropServices;
using Xen.Blkif.Native.Interop;

namespace Xen.Blkif.Native.Handles;

/// <summary>A handle of libxengnttab.</summary>
internal sealed class GrantTableHandle() : SafeHandle(0, ownsHandle: true)
{
    public override bool IsInvalid => handle == 0;

    public static GrantTableHandle Open() => NativeFailure.Check(new GrantTableHandle { handle = LibXenGnttab.Open(SilentLogger.Address, 0) }, "/dev/xen/gntdev cannot be opened");

    protected override bool ReleaseHandle() => LibXenGnttab.Close(handle) == 0;
}

/// <summary>A handle of libxenevtchn. One for each queue, so that the storms of one guest stay with its queue.</summary>
internal sealed class EventChannelHandle() : SafeHandle(0, ownsHandle: true)
{
    public override bool IsInvalid => handle == 0;

    public static EventChannelHandle Open() => NativeFailure.Check(new EventChannelHandle { handle = LibXenEvtchn.Open(SilentLogger.Address, 0) }, "/dev/xen/evtchn cannot be opened");

    protected override bool ReleaseHandle() => LibXenEvtchn.Close(handle) == 0;
}

/// <summary>A handle of libxenstore.</summary>
internal sealed class StoreHandle() : SafeHandle(0, ownsHandle: true)
{
    public override bool IsInvalid => handle == 0;

    public static StoreHandle Open() => NativeFailure.Check(new StoreHandle { handle = LibXenStore.Open(0) }, "xenstore cannot be reached");

    protected override bool ReleaseHandle()
    {
        LibXenStore.Close(handle);
        return true;
    }
}

/// <summary>A counter in the kernel that wakes whoever polls it.</summary>
internal sealed unsafe class EventFdHandle() : SafeHandle(-1, ownsHandle: true)
{
    public override bool IsInvalid => handle == -1;

    /// <summary>The file descriptor, for polling by the owner.</summary>
    public int Descriptor => (int)handle;

    public static EventFdHandle Open() => NativeFailure.Check(new EventFdHandle { handle = LibC.EventFd(0, LibC.EventFdFlags) }, "an eventfd cannot be made");

    /// <summary>Wakes the poller. Any thread; does nothing once disposed.</summary>
    public void Signal()
    {
        bool added = false;
        try
        {
            DangerousAddRef(ref added);
            ulong one = 1;
            _ = LibC.Write((int)handle, &one, sizeof(ulong));
        }
        catch (ObjectDisposedException)
        {
            // Nobody waits any more.
        }
        finally
        {
            if (added)
                DangerousRelease();
        }
    }

    /// <summary>Takes the signals so far. The owner's thread.</summary>
    public void Clear()
    {
        ulong count;
        _ = LibC.Read((int)handle, &count, sizeof(ulong));
    }

    protected override bool ReleaseHandle() => LibC.Close((int)handle) == 0;
}
