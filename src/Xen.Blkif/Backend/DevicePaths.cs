using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Backend;

/// <summary>Where a device lives in xenstore. Built from what this domain knows, never from what the guest wrote (XSA-175).</summary>
internal sealed class DevicePaths(DomainId backendDomain, string backendType, DomainId guest, VirtualDevice device)
{
    /// <summary>The backend's half.</summary>
    public string Backend { get; } = $"/local/domain/{backendDomain}/backend/{backendType}/{guest}/{device.Number}";

    /// <summary>What holds all disks of this type of the guest.</summary>
    public string BackendOfGuest { get; } = $"/local/domain/{backendDomain}/backend/{backendType}/{guest}";

    /// <summary>The frontend's half, which the guest may write at will.</summary>
    public string Frontend { get; } = $"/local/domain/{guest}/device/vbd/{device.Number}";

    /// <summary>Where toolstacks look for the reason of a failure.</summary>
    public string Error { get; } = $"/local/domain/{backendDomain}/error/backend/{backendType}/{guest}/{device.Number}/error";

    public string InBackend(string key) => $"{Backend}/{key}";

    public string InFrontend(string key) => $"{Frontend}/{key}";
}
