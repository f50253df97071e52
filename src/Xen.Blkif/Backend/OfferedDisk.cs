using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Backend;

/// <summary>A disk that a toolstack wants served, as it described it in xenstore.</summary>
/// <param name="Guest">The guest that gets it.</param>
/// <param name="Device">Its name in the guest.</param>
/// <param name="Params">What it is served from, such as <c>aio:/srv/web.img</c>; empty for a drive without a medium.</param>
/// <param name="IsReadOnly">Whether the guest may only read.</param>
/// <param name="IsCdrom">Whether the guest is to see a CD-ROM drive.</param>
/// <param name="AllowsDiscard">Whether the guest may give storage back.</param>
public sealed record OfferedDisk(DomainId Guest, VirtualDevice Device, string Params, bool IsReadOnly, bool IsCdrom, bool AllowsDiscard)
{
    /// <summary>
    /// Whether the guest may be using the disk already, whose process was killed. Storage that did not outlive that process, such as its
    /// memory, must not be opened as if it were empty.
    /// </summary>
    public bool IsInUse { get; init; }

    /// <summary>Reads what a toolstack wrote.</summary>
    /// <param name="store">The store.</param>
    /// <param name="backend">The backend's half.</param>
    /// <param name="guest">The guest.</param>
    /// <param name="number">The last part of the path.</param>
    /// <param name="isLeft">Whether another process served a disk and did not come to the end of it.</param>
    /// <returns>Null where the node is no disk that waits to be served.</returns>
    internal static OfferedDisk? Read(IXenStoreAccess store, string backend, DomainId guest, string number, Func<VirtualDevice, bool> isLeft)
    {
        if (!VirtualDevice.TryParse(number, out VirtualDevice device))
            return null;

        bool isNew = XenbusStates.Parse(store.Read($"{backend}/state")) == XenbusState.Initialising;
        bool waits = isNew && store.Read($"{backend}/online") is "1";
        if (!waits && !isLeft(device))
            return null;

        // The name is what people know the disk by; the number is what the guest and the paths have.
        if (VirtualDevice.TryParse(store.Read($"{backend}/dev"), out VirtualDevice named) && named.Number == device.Number)
            device = named;
        return new OfferedDisk(
            guest,
            device,
            store.Read($"{backend}/params") ?? "",
            IsReadOnly: store.Read($"{backend}/mode")?.Contains('w') != true,
            IsCdrom: store.Read($"{backend}/device-type") is "cdrom",
            AllowsDiscard: store.Read($"{backend}/discard-enable") is not "0")
        {
            IsInUse = !isNew,
        };
    }
}
