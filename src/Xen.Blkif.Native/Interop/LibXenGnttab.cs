using System.Runtime.InteropServices;

namespace Xen.Blkif.Native.Interop;

/// <summary><c>xengnttab.h</c>, one to one.</summary>
internal static unsafe partial class LibXenGnttab
{
    public const int ProtRead = 1;
    public const int ProtWrite = 2;

    /// <summary>An offset that is none: no byte is cleared when a page is unmapped.</summary>
    public const uint ClearNoByte = uint.MaxValue;

    [LibraryImport(NativeLibraries.GrantTable, EntryPoint = "xengnttab_open", SetLastError = true)]
    public static partial nint Open(nint logger, uint openFlags);

    [LibraryImport(NativeLibraries.GrantTable, EntryPoint = "xengnttab_close", SetLastError = true)]
    public static partial int Close(nint handle);

    [LibraryImport(NativeLibraries.GrantTable, EntryPoint = "xengnttab_set_max_grants", SetLastError = true)]
    public static partial int SetMaxGrants(nint handle, uint count);

    [LibraryImport(NativeLibraries.GrantTable, EntryPoint = "xengnttab_map_domain_grant_refs", SetLastError = true)]
    public static partial nint MapDomainGrantRefs(nint handle, uint count, uint domain, uint* references, int protection);

    [LibraryImport(NativeLibraries.GrantTable, EntryPoint = "xengnttab_map_grant_ref_notify", SetLastError = true)]
    public static partial nint MapGrantRefNotify(nint handle, uint domain, uint reference, int protection, uint notifyOffset, uint notifyPort);

    [LibraryImport(NativeLibraries.GrantTable, EntryPoint = "xengnttab_unmap", SetLastError = true)]
    public static partial int Unmap(nint handle, nint startAddress, uint count);

    [LibraryImport(NativeLibraries.GrantTable, EntryPoint = "xengnttab_grant_copy", SetLastError = true)]
    public static partial int GrantCopy(nint handle, uint count, void* segments);
}
