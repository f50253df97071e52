using System.Runtime.InteropServices;

namespace Xen.Blkif.Native.Interop;

/// <summary><c>xenstore.h</c>, one to one. C's <c>bool</c> is a byte; strings are bytes that end with a zero.</summary>
internal static unsafe partial class LibXenStore
{
    [LibraryImport(NativeLibraries.Store, EntryPoint = "xs_open", SetLastError = true)]
    public static partial nint Open(nuint flags);

    [LibraryImport(NativeLibraries.Store, EntryPoint = "xs_close")]
    public static partial void Close(nint handle);

    [LibraryImport(NativeLibraries.Store, EntryPoint = "xs_read", SetLastError = true)]
    public static partial byte* Read(nint handle, uint transaction, byte* path, uint* length);

    [LibraryImport(NativeLibraries.Store, EntryPoint = "xs_write", SetLastError = true)]
    public static partial byte Write(nint handle, uint transaction, byte* path, byte* data, uint length);

    [LibraryImport(NativeLibraries.Store, EntryPoint = "xs_rm", SetLastError = true)]
    public static partial byte Remove(nint handle, uint transaction, byte* path);

    [LibraryImport(NativeLibraries.Store, EntryPoint = "xs_directory", SetLastError = true)]
    public static partial byte** Directory(nint handle, uint transaction, byte* path, uint* count);

    [LibraryImport(NativeLibraries.Store, EntryPoint = "xs_set_permissions", SetLastError = true)]
    public static partial byte SetPermissions(nint handle, uint transaction, byte* path, Permissions* permissions, uint count);

    [LibraryImport(NativeLibraries.Store, EntryPoint = "xs_watch", SetLastError = true)]
    public static partial byte Watch(nint handle, byte* path, byte* token);

    [LibraryImport(NativeLibraries.Store, EntryPoint = "xs_unwatch", SetLastError = true)]
    public static partial byte Unwatch(nint handle, byte* path, byte* token);

    [LibraryImport(NativeLibraries.Store, EntryPoint = "xs_check_watch", SetLastError = true)]
    public static partial byte** CheckWatch(nint handle);

    [LibraryImport(NativeLibraries.Store, EntryPoint = "xs_fileno", SetLastError = true)]
    public static partial int FileDescriptor(nint handle);

    [LibraryImport(NativeLibraries.Store, EntryPoint = "xs_transaction_start", SetLastError = true)]
    public static partial uint TransactionStart(nint handle);

    [LibraryImport(NativeLibraries.Store, EntryPoint = "xs_transaction_end", SetLastError = true)]
    public static partial byte TransactionEnd(nint handle, uint transaction, byte abort);

    /// <summary><c>struct xs_permissions</c>: the first of an array names the owner and what everybody may do.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Permissions
    {
        /// <summary>The domain.</summary>
        public uint Id;

        /// <summary>1 to read, 2 to write.</summary>
        public uint Rights;
    }
}
