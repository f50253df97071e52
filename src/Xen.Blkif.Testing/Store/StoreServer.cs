using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>
/// The store that all connections of one <see cref="SimulatedXen"/> share. One lock guards the nodes and the list of watches.
/// </summary>
internal sealed class StoreServer(SimulatedXenLimits limits) : IDisposable
{
    private readonly WatchDispatcher _dispatcher = new();
    private readonly List<StoreWatch> _watches = [];
    private StoreTree _tree = new(limits);

    public Exception? WatchFailure => _dispatcher.Failure;

    public StoreNode? Read(DomainId by, string path)
    {
        lock (_watches)
            return _tree.Read(by, path);
    }

    public void Change(StoreChange change)
    {
        lock (_watches)
        {
            var before = _tree.Root;
            if (change.Apply(_tree))
                Fire(change, before, _tree.Root);
        }
    }

    public StoreTree Snapshot()
    {
        lock (_watches)
            return _tree.Clone();
    }

    /// <summary>Makes all changes or, where a node that the transaction depends on is not what it was at the beginning, none.</summary>
    public bool TryCommit(StoreNode start, IEnumerable<string> touched, IEnumerable<StoreChange> changes)
    {
        lock (_watches)
        {
            foreach (var path in touched)
            {
                if (StoreTree.Find(start, path)?.Version != StoreTree.Find(_tree.Root, path)?.Version)
                    return false;
            }

            // Made on a copy: a quota that is reached halfway leaves the store as it was.
            var tree = _tree.Clone();
            var made = new List<(StoreChange Change, StoreNode Before, StoreNode After)>();
            foreach (var change in changes)
            {
                var before = tree.Root;
                if (change.Apply(tree))
                    made.Add((change, before, tree.Root));
            }

            _tree = tree;
            foreach (var (change, before, after) in made)
                Fire(change, before, after);
            return true;
        }
    }

    public void Add(StoreWatch watch)
    {
        lock (_watches)
        {
            var domain = watch.Domain;
            if (!StorePermissions.IsPrivileged(domain) && _watches.Count(other => other.Domain == domain) >= limits.StoreWatches)
                throw new HypervisorException($"{watch.Path} cannot be watched: domain {domain} may have {limits.StoreWatches} watches.");
            _watches.Add(watch);
            _dispatcher.Enqueue(watch, watch.Path);
        }
    }

    public void Remove(StoreWatch watch)
    {
        lock (_watches)
            _ = _watches.Remove(watch);
        // Outside the lock: this may wait for a callback, which may be waiting to look at the store.
        _dispatcher.Close(watch);
    }

    /// <summary>Removes what is left of the watches of one connection.</summary>
    public void RemoveAll(object connection)
    {
        StoreWatch[] watches;
        lock (_watches)
            watches = [.. _watches.Where(watch => watch.Connection == connection)];
        foreach (var watch in watches)
            watch.Dispose();
    }

    public int CountWatches(object connection)
    {
        lock (_watches)
            return _watches.Count(watch => watch.Connection == connection);
    }

    public int CountPending(object connection) => _dispatcher.CountPending(connection);

    public bool WaitUntilIdle(int millisecondsTimeout) => _dispatcher.WaitUntilIdle(millisecondsTimeout);

    public void Dispose() => _dispatcher.Dispose();

    private void Fire(StoreChange change, StoreNode before, StoreNode after)
    {
        foreach (var watch in _watches)
        {
            if (StorePath.IsAtOrBelow(change.Path, watch.Path))
                Fire(watch, change.Path, before, after);
            else if (change.IsRemoval && StorePath.IsAtOrBelow(watch.Path, change.Path) && StoreTree.Find(before, watch.Path) is not null)
                Fire(watch, watch.Path, before, after);
        }
    }

    private void Fire(StoreWatch watch, string path, StoreNode before, StoreNode after)
    {
        if (MaySee(watch.Domain, path, before) || MaySee(watch.Domain, path, after))
            _dispatcher.Enqueue(watch, path);
    }

    // As xenstored has it since XSA-115: whoever may read a node, or list it from its parent, may be told of it.
    private static bool MaySee(DomainId domain, string path, StoreNode root) =>
        StoreTree.Find(root, path) is { } node
        && (node.Permissions.Allows(domain, XenStorePermission.Read)
            || StoreTree.Find(root, StorePath.Parent(path))!.Permissions.Allows(domain, XenStorePermission.Read));
}
