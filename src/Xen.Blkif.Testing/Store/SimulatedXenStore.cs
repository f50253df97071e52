using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>The connection of one domain to the store of a <see cref="SimulatedXen"/>.</summary>
/// <remarks>
/// Thread-safe. Permissions, inheritance, quotas, and who is told of what are those of xenstored. All watches of all connections are called
/// on one background thread, one after the other; there is at most one event queued for each watch and path.
/// </remarks>
public sealed class SimulatedXenStore : IXenStore
{
    private readonly StoreServer _server;
    private volatile bool _closed;

    internal SimulatedXenStore(StoreServer server, DomainId domain)
    {
        _server = server;
        Domain = domain;
    }

    /// <summary>The domain that is connected. Domain 0 may do everything.</summary>
    public DomainId Domain { get; }

    /// <summary>Watches that are registered through this connection and not disposed.</summary>
    public int Watches => _server.CountWatches(this);

    /// <summary>Events that are queued for the watches of this connection and whose callback has not begun.</summary>
    public int PendingEvents => _server.CountPending(this);

    /// <summary>
    /// The first exception that a watch callback of any connection threw; <see cref="SimulatedXen.Dispose"/> throws it again.
    /// </summary>
    public Exception? WatchFailure => _server.WatchFailure;

    /// <summary>Asked, with the absolute path, before each operation of this connection: an exception that it returns is thrown.</summary>
    public Func<StoreOperation, string, Exception?>? Fault { get; set; }

    /// <summary>Connects as any domain, whether there is a guest of that number or not.</summary>
    /// <param name="domain">The domain; only 0 is privileged.</param>
    public SimulatedXenStore ConnectAs(DomainId domain) => new(_server, domain);

    /// <inheritdoc/>
    public string? Read(string path) => _server.Read(Domain, Enter(StoreOperation.Read, path))?.Value;

    /// <inheritdoc/>
    public void Write(string path, string value) =>
        _server.Change(StoreChange.Write(Domain, Enter(StoreOperation.Write, path), value));

    /// <inheritdoc/>
    public void Remove(string path) => _server.Change(StoreChange.Remove(Domain, Enter(StoreOperation.Remove, path)));

    /// <inheritdoc/>
    public IReadOnlyList<string> List(string path) => _server.Read(Domain, Enter(StoreOperation.List, path))?.Names.ToArray() ?? [];

    /// <inheritdoc/>
    /// <remarks>A guest cannot give a node to another owner.</remarks>
    public void SetPermissions(string path, DomainId owner, XenStorePermission others, params XenStoreEntry[] entries) =>
        _server.Change(StoreChange.SetPermissions(Domain, Enter(StoreOperation.SetPermissions, path), Permissions(owner, others, entries)));

    /// <inheritdoc/>
    /// <remarks>The transaction sees the store as it is now, whatever others do. How many there are is not limited.</remarks>
    public IXenStoreTransaction BeginTransaction()
    {
        _ = Enter(StoreOperation.BeginTransaction, "/");
        return new StoreTransaction(this, _server);
    }

    /// <inheritdoc/>
    /// <remarks>
    /// Paths are reported as they were given, relative or absolute. Where an ancestor of the watched node is removed, the watched path is
    /// reported. Disposing the registration waits while <paramref name="changed"/> runs, unless it is called from a callback: hold no lock
    /// that it needs. An exception of the callback ends nothing; see <see cref="WatchFailure"/>.
    /// </remarks>
    public IDisposable Watch(string path, Action<string> changed)
    {
        _ = changed ?? throw new ArgumentNullException(nameof(changed));
        var absolute = Enter(StoreOperation.Watch, path);
        var watch = new StoreWatch(_server, this, Domain, absolute, path[0] != '/', changed);
        _server.Add(watch);
        return watch;
    }

    /// <summary>Waits until no event is queued and no callback runs, for any connection.</summary>
    /// <param name="millisecondsTimeout">The longest wait in milliseconds; -1 for no limit.</param>
    /// <returns>False where the time was over first.</returns>
    /// <remarks>Not from a watch callback, which would wait for itself.</remarks>
    public bool WaitUntilIdle(int millisecondsTimeout) => _server.WaitUntilIdle(millisecondsTimeout);

    /// <summary>Checks that an operation may begin and returns the absolute path of its node.</summary>
    internal string Enter(StoreOperation operation, string path)
    {
        if (_closed)
            throw new HypervisorException($"The store is out of reach: domain {Domain} is gone.");
        var absolute = StorePath.Resolve(Domain, path);
        if (Fault?.Invoke(operation, absolute) is { } fault)
            throw fault;
        return absolute;
    }

    /// <summary>Ends the connection with its watches.</summary>
    internal void Close()
    {
        _closed = true;
        _server.RemoveAll(this);
    }

    internal static StorePermissions Permissions(DomainId owner, XenStorePermission others, XenStoreEntry[] entries) =>
        new(owner, others, (XenStoreEntry[])(entries ?? throw new ArgumentNullException(nameof(entries))).Clone());
}
