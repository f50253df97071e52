using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>
/// A guest of a <see cref="SimulatedXen"/>: its memory, what it grants, its event channels and its connection to the store.
/// </summary>
/// <remarks>Thread-safe.</remarks>
public sealed class SimulatedGuest : IDisposable
{
    private readonly SimulatedXen _xen;
    private readonly GuestPages _pages;
    private readonly GuestGrants _grants;

    internal SimulatedGuest(SimulatedXen xen, DomainId id, GuestMemory memory, GuestGrants grants, SimulatedXenStore store)
    {
        _xen = xen;
        _pages = new GuestPages(id, memory);
        _grants = grants;
        Id = id;
        Store = store;
    }

    /// <summary>The number of the domain.</summary>
    public DomainId Id { get; }

    /// <summary>The guest's own connection to the store, without privileges.</summary>
    public SimulatedXenStore Store { get; }

    /// <summary>Pages that the guest has granted and not revoked.</summary>
    public int GrantedPages => _grants.Granted;

    /// <summary>Takes consecutive pages of the guest's memory and fills them with zeros.</summary>
    /// <param name="count">Pages of 4096 bytes, at least 1.</param>
    /// <returns>The number of the first page, from 0.</returns>
    /// <exception cref="HypervisorException">The guest has not that many free pages in a row.</exception>
    public int AllocatePages(int count) => _pages.Allocate(count);

    /// <summary>Gives pages back. Whether they are still granted is not looked at, as in a guest.</summary>
    /// <param name="page">The first page.</param>
    /// <param name="count">Pages, at least 1.</param>
    /// <exception cref="ArgumentException">One of the pages is not allocated.</exception>
    public void FreePages(int page, int count) => _pages.Free(page, count);

    /// <summary>Where the guest itself sees a page. The address is valid until the <see cref="SimulatedXen"/> is disposed.</summary>
    /// <param name="page">The number of the page, which need not be allocated.</param>
    /// <exception cref="ArgumentOutOfRangeException">The guest's memory has no such page.</exception>
    public nint AddressOf(int page) => _pages.AddressOf(page);

    /// <summary>Lets another domain reach a page.</summary>
    /// <param name="page">The number of the page. A page may be granted more than once.</param>
    /// <param name="to">The domain that may map it and copy from it.</param>
    /// <param name="writable">Whether that domain may write to it.</param>
    /// <exception cref="ArgumentOutOfRangeException">The guest's memory has no such page.</exception>
    /// <exception cref="HypervisorException">The grant table is full.</exception>
    public GrantReference Grant(int page, DomainId to, bool writable) => _grants.Grant(page, to, writable);

    /// <summary>
    /// Ends a grant, as <c>gnttab_end_foreign_access</c> does. The reference may come back from the next <see cref="Grant"/>.
    /// </summary>
    /// <param name="reference">What <see cref="Grant"/> returned.</param>
    /// <returns>
    /// False, with nothing changed, while the page is mapped through this reference. A copy that is under way is not waited for.
    /// </returns>
    /// <exception cref="HypervisorException">Nothing is granted under this reference.</exception>
    public bool TryRevoke(GrantReference reference) => _grants.TryRevoke(reference);

    /// <summary>Allocates a port that another domain may bind to.</summary>
    /// <param name="remote">The domain.</param>
    /// <returns>This guest's end; disposing it closes the port.</returns>
    /// <exception cref="HypervisorException">The guest is destroyed.</exception>
    public SimulatedEventChannel AllocateUnbound(DomainId remote) => _xen.Events.Allocate(Id, remote);

    /// <summary>Destroys the guest, as <see cref="SimulatedXen.DestroyGuest"/> does. Does nothing the second time.</summary>
    public void Dispose() => _xen.Destroy(this);
}
