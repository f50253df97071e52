using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Native.Handles;
using Xen.Blkif.Native.Interop;

namespace Xen.Blkif.Native;

/// <summary>A transaction of libxenstore.</summary>
internal sealed class NativeXenStoreTransaction(StoreHandle handle, uint transaction) : NativeXenStoreAccess(handle, transaction), IXenStoreTransaction
{
    private bool _ended;

    /// <inheritdoc/>
    public bool TryCommit()
    {
        _ended = true;
        if (LibXenStore.TransactionEnd(Raw, Transaction, abort: 0) != 0)
            return true;
        return Marshal.GetLastPInvokeError() == LibC.Again ? false : throw NativeFailure.Of("A xenstore transaction cannot be committed");
    }

    public void Dispose()
    {
        if (!_ended)
            _ = LibXenStore.TransactionEnd(Raw, Transaction, abort: 1);
        _ended = true;
    }
}
