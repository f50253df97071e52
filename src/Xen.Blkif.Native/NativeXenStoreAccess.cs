using System.Runtime.InteropServices;
using System.Text;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Native.Handles;
using Xen.Blkif.Native.Interop;

namespace Xen.Blkif.Native;

/// <summary>Reads and writes nodes, in a transaction or outside of any (transaction 0).</summary>
internal abstract unsafe class NativeXenStoreAccess(StoreHandle handle, uint transaction) : IXenStoreAccess
{
    protected nint Raw => handle.DangerousGetHandle();

    protected uint Transaction { get; } = transaction;

    /// <inheritdoc/>
    public string? Read(string path)
    {
        uint length;
        byte* value;
        fixed (byte* at = StoreText.Terminated(path))
            value = LibXenStore.Read(Raw, Transaction, at, &length);
        if (value is null)
            return IsMissing() || IsHidden() ? null : throw NativeFailure.Of($"{path} cannot be read");

        string text = StoreText.Of(value, length);
        LibC.Free(value);
        return text;
    }

    /// <inheritdoc/>
    public void Write(string path, string value)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(value);
        fixed (byte* at = StoreText.Terminated(path), data = bytes)
        {
            if (LibXenStore.Write(Raw, Transaction, at, data, (uint)bytes.Length) == 0)
                throw NativeFailure.Of($"{path} cannot be written");
        }
    }

    /// <inheritdoc/>
    public void Remove(string path)
    {
        fixed (byte* at = StoreText.Terminated(path))
        {
            if (LibXenStore.Remove(Raw, Transaction, at) == 0 && !IsMissing())
                throw NativeFailure.Of($"{path} cannot be removed");
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> List(string path)
    {
        uint count;
        byte** names;
        fixed (byte* at = StoreText.Terminated(path))
            names = LibXenStore.Directory(Raw, Transaction, at, &count);
        if (names is null)
            return IsMissing() ? [] : throw NativeFailure.Of($"{path} cannot be listed");

        var list = new string[count];
        for (int i = 0; i < list.Length; i++)
            list[i] = StoreText.Of(names[i]);
        LibC.Free(names);
        return list;
    }

    /// <inheritdoc/>
    public void SetPermissions(string path, DomainId owner, XenStorePermission others, params XenStoreEntry[] entries)
    {
        var permissions = new LibXenStore.Permissions[entries.Length + 1];
        permissions[0] = new LibXenStore.Permissions { Id = owner.Value, Rights = (uint)others };
        for (int i = 0; i < entries.Length; i++)
            permissions[i + 1] = new LibXenStore.Permissions { Id = entries[i].Domain.Value, Rights = (uint)entries[i].Permission };

        fixed (byte* at = StoreText.Terminated(path))
        fixed (LibXenStore.Permissions* first = permissions)
        {
            if (LibXenStore.SetPermissions(Raw, Transaction, at, first, (uint)permissions.Length) == 0)
                throw NativeFailure.Of($"The permissions of {path} cannot be set");
        }
    }

    // A driver domain may not see the folder of a guest that is gone, and xenstored then says "forbidden", not "no such node".
    private static bool IsHidden() => Marshal.GetLastPInvokeError() == LibC.AccessDenied;

    private static bool IsMissing() => Marshal.GetLastPInvokeError() == LibC.NoEntry;
}
