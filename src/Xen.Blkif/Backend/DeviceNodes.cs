using System.Globalization;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Backend;

/// <summary>Makes and removes both halves of a device in xenstore, as a toolstack does.</summary>
internal static class DeviceNodes
{
    /// <summary>Makes them in one transaction: a backend that saw one half without the other would take the device for gone.</summary>
    /// <exception cref="HypervisorException">The guest does not exist, or has such a disk already.</exception>
    public static void Create(IXenHost xen, DevicePaths paths, DomainId guest, VirtualDevice device, BlockTargetInfo info, BackendOptions options) =>
        xen.Store.Transact(store =>
        {
            if (store.Read($"/local/domain/{guest}") is null)
                throw new HypervisorException($"There is no domain {guest} to attach {device} to.");
            if (store.Read(paths.InFrontend("backend")) is not null || store.Read(paths.InBackend("frontend")) is not null)
                throw new HypervisorException($"Domain {guest} has a disk {device} already: detach it first, or choose another name.");

            // What a guest made here beforehand would keep the permissions that the guest gave it.
            store.Remove(paths.Backend);
            store.Remove(paths.Frontend);

            // What is made below a node inherits its permissions, so they come first.
            store.Write(paths.Backend, "");
            store.SetPermissions(paths.Backend, xen.Domain, XenStorePermission.None, new XenStoreEntry(guest, XenStorePermission.Read));
            store.Write(paths.Frontend, "");
            store.SetPermissions(paths.Frontend, guest, XenStorePermission.None, new XenStoreEntry(xen.Domain, XenStorePermission.ReadWrite));

            string type = options.IsCdrom ? "cdrom" : "disk";
            string number = device.Number.ToString(CultureInfo.InvariantCulture);
            store.Write(paths.InBackend("frontend"), paths.Frontend);
            store.Write(paths.InBackend("frontend-id"), guest.ToString());
            store.Write(paths.InBackend("online"), "1");
            store.Write(paths.InBackend("removable"), options.IsCdrom || options.IsRemovable ? "1" : "0");
            store.Write(paths.InBackend("bootable"), "1");
            store.Write(paths.InBackend("dev"), device.Name);
            store.Write(paths.InBackend("mode"), info.ReadOnly ? "r" : "w");
            store.Write(paths.InBackend("device-type"), type);
            store.Write(paths.InBackend("discard-enable"), options.AllowsDiscard ? "1" : "0");
            store.Write(paths.InBackend("state"), XenbusState.Initialising.ToText());

            store.Write(paths.InFrontend("backend"), paths.Backend);
            store.Write(paths.InFrontend("backend-id"), xen.Domain.ToString());
            store.Write(paths.InFrontend("virtual-device"), number);
            store.Write(paths.InFrontend("device-type"), type);
            store.Write(paths.InFrontend("state"), XenbusState.Initialising.ToText());
        });

    /// <summary>Whether both halves are there and belong to each other.</summary>
    public static bool AreThere(IXenStore xen, DevicePaths paths) => xen.Transact(store =>
        string.Equals(store.Read(paths.InBackend("frontend")), paths.Frontend, StringComparison.Ordinal)
        && string.Equals(store.Read(paths.InFrontend("backend")), paths.Backend, StringComparison.Ordinal));

    /// <summary>Removes them, and the reason of a failure. Does nothing for what is gone already.</summary>
    public static void Remove(IXenStore xen, DevicePaths paths) => xen.Transact(store =>
    {
        paths.RemoveBackend(store);
        store.Remove(paths.Frontend);
        paths.RemoveError(store);
    });
}
