using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>
/// A transaction: works on the store as it was at the beginning, and makes the same changes to the store as it is at the end.
/// </summary>
internal sealed class StoreTransaction : IXenStoreTransaction
{
    private readonly SimulatedXenStore _connection;
    private readonly StoreServer _server;
    private readonly StoreNode _start;
    private readonly StoreTree _tree;
    private readonly List<StoreChange> _changes = [];

    // Paths whose nodes, or whose absence, the outcome depends on.
    private readonly HashSet<string> _touched = [];
    private bool _ended;

    public StoreTransaction(SimulatedXenStore connection, StoreServer server)
    {
        _connection = connection;
        _server = server;
        _tree = server.Snapshot();
        _start = _tree.Root;
    }

    public string? Read(string path) => Look(StoreOperation.Read, path)?.Value;

    public IReadOnlyList<string> List(string path) => Look(StoreOperation.List, path)?.Names.ToArray() ?? [];

    public void Write(string path, string value) =>
        Change(StoreChange.Write(_connection.Domain, _connection.Enter(StoreOperation.Write, path), value));

    public void Remove(string path) => Change(StoreChange.Remove(_connection.Domain, _connection.Enter(StoreOperation.Remove, path)));

    public void SetPermissions(string path, DomainId owner, XenStorePermission others, params XenStoreEntry[] entries)
    {
        var permissions = SimulatedXenStore.Permissions(owner, others, entries);
        Change(StoreChange.SetPermissions(_connection.Domain, _connection.Enter(StoreOperation.SetPermissions, path), permissions));
    }

    public bool TryCommit()
    {
        _ = _connection.Enter(StoreOperation.Commit, "/");
        lock (_changes)
        {
            Demand();
            _ended = true;
            return _server.TryCommit(_start, _touched, _changes);
        }
    }

    public void Dispose()
    {
        lock (_changes)
            _ended = true;
    }

    private StoreNode? Look(StoreOperation operation, string path)
    {
        var absolute = _connection.Enter(operation, path);
        lock (_changes)
        {
            Demand();
            _ = _touched.Add(absolute);
            return _tree.Read(_connection.Domain, absolute);
        }
    }

    private void Change(StoreChange change)
    {
        lock (_changes)
        {
            Demand();
            var before = _tree.Root;
            var changed = change.Apply(_tree);
            _ = _touched.Add(change.Path);
            if (!changed)
                return;
            _changes.Add(change);
            TouchAncestors(change.Path, before);
            if (change.IsRemoval)
                TouchDescendants(change.Path, StoreTree.Find(before, change.Path)!);
        }
    }

    /// <summary>Depends on every node above whose names below change, as xenstored does, which writes such a node anew.</summary>
    private void TouchAncestors(string path, StoreNode before)
    {
        while (path.Length > 1)
        {
            path = StorePath.Parent(path);
            var version = StoreTree.Find(before, path)?.Version;
            if (version is not null && version == StoreTree.Find(_tree.Root, path)?.Version)
                return;
            _ = _touched.Add(path);
        }
    }

    private void TouchDescendants(string path, StoreNode node)
    {
        for (var i = 0; i < node.Names.Count; i++)
        {
            var child = $"{path}/{node.Names[i]}";
            _ = _touched.Add(child);
            TouchDescendants(child, node.Children[i]);
        }
    }

    private void Demand()
    {
        if (_ended)
            throw new ObjectDisposedException(nameof(IXenStoreTransaction), "The transaction has ended.");
    }
}
