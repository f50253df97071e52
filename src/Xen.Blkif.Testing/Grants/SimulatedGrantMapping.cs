using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>Pages of one guest, mapped until disposed.</summary>
internal sealed class SimulatedGrantMapping(SimulatedGrantTable table, GuestGrants guest, GrantReference[] references, nint address)
    : IGrantMapping
{
    private int _disposed;

    public nint Address { get; } = address;

    public int Length => references.Length * XenPage.Size;

    public void Dispose()
    {
        // Interlocked: of two threads that dispose, one unmaps; a second unmapping would take addresses that are someone else's by then.
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        guest.Unmap(Address, references);
        table.Unmapped(references.Length);
    }
}
