using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Backend;

/// <summary>What the toolstack lets the guest have of its disk, and what kind of drive it is to be.</summary>
/// <param name="IsReadOnly">Whether the guest may read and no more.</param>
/// <param name="AllowsDiscard">Whether the guest may give storage back.</param>
/// <param name="IsCdrom">Whether it is a CD-ROM drive.</param>
/// <param name="IsRemovable">Whether it has a medium that can be taken out.</param>
internal sealed record ToolstackTerms(bool IsReadOnly, bool AllowsDiscard, bool IsCdrom, bool IsRemovable)
{
    /// <summary>Reads what is in xenstore, where the options leave it open.</summary>
    /// <exception cref="HypervisorException">The store failed.</exception>
    public static ToolstackTerms Read(IXenStoreAccess store, DevicePaths paths, BackendOptions options)
    {
        bool isCdrom = options.IsCdrom || store.Read(paths.InBackend("device-type")) is "cdrom";
        return new ToolstackTerms(
            // As all backends read it: the disk is writable only where the mode says so.
            IsReadOnly: store.Read(paths.InBackend("mode"))?.IndexOf('w') is not >= 0,
            AllowsDiscard: options.AllowsDiscard && store.Read(paths.InBackend("discard-enable")) is not "0",
            IsCdrom: isCdrom,
            IsRemovable: isCdrom || options.IsRemovable || store.Read(paths.InBackend("removable")) is "1");
    }
}
