namespace Xen.Blkif.Engine;

/// <summary>How the data of requests gets to the target and back.</summary>
public enum GuestMemoryAccess
{
    /// <summary>The hypervisor copies between the guest's pages and memory of our own. Nothing of the guest's is mapped but its rings.</summary>
    Copy,

    /// <summary>
    /// The pages of each request are mapped, with one call, and unmapped before its response. The target works on them in place. Each unmapping
    /// interrupts all processors that this domain runs on, so that it pays only where requests are large.
    /// </summary>
    Map,

    /// <summary>
    /// Pages stay mapped and are found again by their references, with a guest that uses the same ones over and over and says so; a request
    /// that there is no room for, or whose pages cannot be mapped, is copied. With any other guest the same as <see cref="Copy"/>.
    /// </summary>
    Persistent,
}
