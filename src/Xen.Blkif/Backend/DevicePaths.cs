using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Backend;

/// <summary>Where a device lives in xenstore. Built from what this domain knows, never from what the guest wrote (XSA-175).</summary>
internal sealed class DevicePaths(DomainId backendDomain, string backendType, DomainId guest, VirtualDevice device)
{
    private readonly string _errorsOfGuest = $"/local/domain/{backendDomain}/error/backend/{backendType}/{guest}";
    private readonly string _backendOfGuest = $"/local/domain/{backendDomain}/backend/{backendType}/{guest}";

    /// <summary>The backend's half.</summary>
    public string Backend => $"{_backendOfGuest}/{device.Number}";

    /// <summary>The frontend's half, which the guest may write at will.</summary>
    public string Frontend { get; } = $"/local/domain/{guest}/device/vbd/{device.Number}";

    /// <summary>Where toolstacks look for the reason of a failure.</summary>
    public string Error => $"{_errorsOfGuest}/{device.Number}/error";

    /// <summary>The file of a process that serves the device, by the part that the process has in it.</summary>
    public string JournalIn(string folder, string part) => Path.Combine(folder, $"{backendType}-{guest}-{device.Number}.{part}");

    public string InBackend(string key) => $"{Backend}/{key}";

    public string InFrontend(string key) => $"{Frontend}/{key}";

    /// <summary>Removes the backend's half, with the folder of the guest's disks where it is left empty.</summary>
    public void RemoveBackend(IXenStoreAccess store) => RemoveWithEmptyFolder(store, Backend, _backendOfGuest);

    /// <summary>Removes the reason of a failure, with the folder of the guest's where it is left empty.</summary>
    public void RemoveError(IXenStoreAccess store) => RemoveWithEmptyFolder(store, $"{_errorsOfGuest}/{device.Number}", _errorsOfGuest);

    // Domain numbers are not used again for a long time: an empty folder for each guest there ever was would fill the store.
    private static void RemoveWithEmptyFolder(IXenStoreAccess store, string path, string folder)
    {
        store.Remove(path);
        if (store.List(folder).Count == 0)
            store.Remove(folder);
    }
}
