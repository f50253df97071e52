using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>Who may do what with a node. Never changes.</summary>
internal sealed class StorePermissions(DomainId owner, XenStorePermission others, XenStoreEntry[] entries)
{
    public DomainId Owner => owner;

    /// <summary>Domain 0 is the one that may do everything.</summary>
    public static bool IsPrivileged(DomainId domain) => domain.Value == 0;

    public bool Owns(DomainId domain) => domain == owner || IsPrivileged(domain);

    public bool Allows(DomainId domain, XenStorePermission wanted)
    {
        if (Owns(domain))
            return true;
        foreach (var entry in entries)
        {
            if (entry.Domain == domain)
                return (entry.Permission & wanted) == wanted;
        }

        return (others & wanted) == wanted;
    }

    /// <summary>
    /// What a node gets that a domain creates below one with these: the same, but a guest owns what it creates (construct_node).
    /// </summary>
    public StorePermissions InheritedBy(DomainId creator) =>
        IsPrivileged(creator) || creator == owner ? this : new StorePermissions(creator, others, entries);
}
