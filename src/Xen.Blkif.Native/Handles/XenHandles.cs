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
