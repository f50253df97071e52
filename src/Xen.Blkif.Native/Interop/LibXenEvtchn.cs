using System.Runtime.InteropServices;

namespace Xen.Blkif.Native.Interop;

/// <summary><c>xenevtchn.h</c>, one to one.</summary>
internal static partial class LibXenEvtchn
{
    [LibraryImport(NativeLibraries.EventChannel, EntryPoint = "xenevtchn_open", SetLastError = true)]
    public static partial nint Open(nint logger, uint flags);

    [LibraryImport(NativeLibraries.EventChannel, EntryPoint = "xenevtchn_close", SetLastError = true)]
    public static partial int Close(nint handle);

    [LibraryImport(NativeLibraries.EventChannel, EntryPoint = "xenevtchn_fd", SetLastError = true)]
    public static partial int FileDescriptor(nint handle);

    [LibraryImport(NativeLibraries.EventChannel, EntryPoint = "xenevtchn_notify", SetLastError = true)]
    public static partial int Notify(nint handle, uint port);

    [LibraryImport(NativeLibraries.EventChannel, EntryPoint = "xenevtchn_bind_interdomain", SetLastError = true)]
    public static partial int BindInterdomain(nint handle, uint domain, uint remotePort);

    [LibraryImport(NativeLibraries.EventChannel, EntryPoint = "xenevtchn_unbind", SetLastError = true)]
    public static partial int Unbind(nint handle, uint port);

    [LibraryImport(NativeLibraries.EventChannel, EntryPoint = "xenevtchn_pending", SetLastError = true)]
    public static partial int Pending(nint handle);

    [LibraryImport(NativeLibraries.EventChannel, EntryPoint = "xenevtchn_unmask", SetLastError = true)]
    public static partial int Unmask(nint handle, uint port);
}
