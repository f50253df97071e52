using System.Text;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>The nodes of the store and the rules for changing them. An operation that throws has changed nothing.</summary>
internal sealed class StoreTree
{
    // XENSTORE_PAYLOAD_MAX in public/io/xs_wire.h.
    private const int MaximumValue = 4096;

    private readonly SimulatedXenLimits _limits;
    private readonly Dictionary<DomainId, int> _owned;

    private StoreTree(SimulatedXenLimits limits, StoreNode root, Dictionary<DomainId, int> owned)
    {
        _limits = limits;
        _owned = owned;
        Root = root;
    }

    public StoreTree(SimulatedXenLimits limits) : this(limits, new StoreNode(new StorePermissions(0, XenStorePermission.None, [])), [])
    {
    }

    public StoreNode Root { get; private set; }

    public StoreTree Clone() => new(_limits, Root, new Dictionary<DomainId, int>(_owned));

    public static StoreNode? Find(StoreNode root, string path)
    {
        var node = Nearest(root, StorePath.Names(path), out var missing);
        return missing == 0 ? node : null;
    }

    /// <summary>
    /// Finds a node that a domain may read, null where there is none; whether a domain may know that is for the nearest ancestor to say.
    /// </summary>
    public StoreNode? Read(DomainId by, string path)
    {
        var node = Nearest(Root, StorePath.Names(path), out var missing);
        Demand(node, by, XenStorePermission.Read, "read", path);
        return missing == 0 ? node : null;
    }

    public void Write(DomainId by, string path, string value)
    {
        if (Encoding.UTF8.GetByteCount(value) > MaximumValue)
            throw new HypervisorException($"The value of {path} is longer than {MaximumValue} bytes.");
        var names = StorePath.Names(path);
        var node = Nearest(Root, names, out var missing);
        Demand(node, by, XenStorePermission.Write, "write", path);
        if (missing != 0 && !StorePermissions.IsPrivileged(by) && Owned(by) + missing > _limits.StoreNodes)
            throw new HypervisorException($"Domain {by} may not create {path}: it may own {_limits.StoreNodes} nodes.");
        Root = Replace(Root, names, 0, by, target => target.With(value));
    }

    /// <summary>Removes a node with all below it and says whether there was one.</summary>
    public bool Remove(DomainId by, string path)
    {
        var names = StorePath.Names(path);
        var node = Nearest(Root, names, out var missing);
        Demand(node, by, XenStorePermission.Write, "remove", path);
        if (missing != 0)
            return false;
        if (names.Length == 0)
            throw new HypervisorException("The root of the store cannot be removed.");
        Forget(node);
        var name = names[names.Length - 1];
        Root = Replace(Root, StorePath.Names(StorePath.Parent(path)), 0, by, parent => parent.WithoutChild(name));
        return true;
    }

    public void SetPermissions(DomainId by, string path, StorePermissions permissions)
    {
        var names = StorePath.Names(path);
        var node = Nearest(Root, names, out var missing);
        if (missing != 0)
            throw new HypervisorException($"The permissions of {path} cannot be set: there is no such node.");
        if (!node.Permissions.Owns(by))
            throw new HypervisorException($"Domain {by} may not set the permissions of {path}: its owner is domain {node.Permissions.Owner}.");
        if (permissions.Owner != node.Permissions.Owner && !StorePermissions.IsPrivileged(by))
            throw new HypervisorException($"Domain {by} may not give {path} away.");
        Count(node.Permissions.Owner, -1);
        Count(permissions.Owner, 1);
        Root = Replace(Root, names, 0, by, target => target.With(permissions));
    }

    private static StoreNode Nearest(StoreNode root, string[] names, out int missing)
    {
        var node = root;
        for (var i = 0; i < names.Length; i++)
        {
            if (node.Child(names[i]) is not { } child)
            {
                missing = names.Length - i;
                return node;
            }

            node = child;
        }

        missing = 0;
        return node;
    }

    private static void Demand(StoreNode node, DomainId by, XenStorePermission wanted, string what, string path)
    {
        if (!node.Permissions.Allows(by, wanted))
            throw new HypervisorException($"Domain {by} may not {what} {path}.");
    }

    private StoreNode Replace(StoreNode node, string[] names, int depth, DomainId by, Func<StoreNode, StoreNode> change)
    {
        if (depth == names.Length)
            return change(node);
        var child = node.Child(names[depth]);
        if (child is null)
        {
            child = new StoreNode(node.Permissions.InheritedBy(by));
            Count(child.Permissions.Owner, 1);
        }

        return node.WithChild(names[depth], Replace(child, names, depth + 1, by, change));
    }

    private void Forget(StoreNode node)
    {
        Count(node.Permissions.Owner, -1);
        foreach (var child in node.Children)
            Forget(child);
    }

    private int Owned(DomainId domain) => _owned.TryGetValue(domain, out var count) ? count : 0;

    private void Count(DomainId owner, int change)
    {
        var count = Owned(owner) + change;
        if (count == 0)
            _ = _owned.Remove(owner);
        else
            _owned[owner] = count;
    }
}
