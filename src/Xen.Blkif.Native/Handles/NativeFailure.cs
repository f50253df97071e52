using System.ComponentModel;
using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Linux;

namespace Xen.Blkif.Native.Handles;

/// <summary>Turns <c>errno</c> into a sentence.</summary>
internal static class NativeFailure
{
    /// <summary>What the last call failed with. To be called right after it.</summary>
    /// <param name="what">What was asked, as the start of a sentence.</param>
    public static HypervisorException Of(string what) => Of(what, Marshal.GetLastPInvokeError());

    public static HypervisorException Of(string what, int errno) =>
        new($"{what}: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno}).", new Win32Exception(errno));

    public static EventFd CheckDoorbell(EventFd doorbell) => doorbell.IsInvalid ? throw Of("An eventfd cannot be made") : doorbell;

    public static T Check<T>(T handle, string what)
        where T : SafeHandle
    {
        if (!handle.IsInvalid)
            return handle;
        HypervisorException failure = Of($"{what}, which needs root on a Xen host");
        handle.SetHandleAsInvalid();
        throw failure;
    }
}
