namespace Xen.Blkif.Hypervisor;

/// <summary>What can be done to xenstore, directly or inside a transaction.</summary>
/// <remarks>Paths are absolute, or relative to <c>/local/domain/ID</c> of the own domain. Values are short ASCII strings.</remarks>
public interface IXenStoreAccess
{
    /// <summary>Reads a node.</summary>
    /// <param name="path">The node.</param>
    /// <returns>Its value, or <see langword="null"/> where there is no such node, or none that this domain may know of.</returns>
    /// <exception cref="HypervisorException">The store failed.</exception>
    string? Read(string path);

    /// <summary>Writes a node, making it and its parents where they are missing.</summary>
    /// <param name="path">The node.</param>
    /// <param name="value">At most 4096 bytes.</param>
    /// <exception cref="HypervisorException">The node may not be written, a quota is reached, or the store failed.</exception>
    void Write(string path, string value);

    /// <summary>Removes a node with all below it. Does nothing where there is none.</summary>
    /// <param name="path">The node.</param>
    /// <exception cref="HypervisorException">The node may not be removed, or the store failed.</exception>
    void Remove(string path);

    /// <summary>Lists the names directly below a node.</summary>
    /// <param name="path">The node.</param>
    /// <returns>The names without their path, empty where there is no such node.</returns>
    /// <exception cref="HypervisorException">The node may not be read, or the store failed.</exception>
    IReadOnlyList<string> List(string path);

    /// <summary>Sets who may reach a node.</summary>
    /// <param name="path">The node, which must exist.</param>
    /// <param name="owner">The domain that owns it and may do everything.</param>
    /// <param name="others">What every domain without an entry of its own may do.</param>
    /// <param name="entries">What named domains may do.</param>
    /// <exception cref="HypervisorException">The node is missing or not the caller's, or the store failed.</exception>
    void SetPermissions(string path, DomainId owner, XenStorePermission others, params XenStoreEntry[] entries);
}

/// <summary>The store in which toolstack, backend and frontend leave each other notes.</summary>
/// <remarks>Thread-safe. Every call may block for a round trip to the store's daemon.</remarks>
public interface IXenStore : IXenStoreAccess
{
    /// <summary>Begins a transaction: what is done in it shows all at once, or not at all.</summary>
    /// <exception cref="HypervisorException">The store failed or allows no further transaction.</exception>
    IXenStoreTransaction BeginTransaction();

    /// <summary>Watches a node and all below it.</summary>
    /// <param name="path">The node, which need not exist.</param>
    /// <param name="changed">
    /// Called with the path that changed, once at registration (with <paramref name="path"/> itself) and after changes, on a thread of the store.
    /// It must return soon and must not call the store. Changes coalesce: look at the node's present value, never count calls.
    /// </param>
    /// <returns>The registration; disposing it ends the watch, after which <paramref name="changed"/> is not called again.</returns>
    /// <exception cref="HypervisorException">A quota is reached or the store failed.</exception>
    IDisposable Watch(string path, Action<string> changed);
}

/// <summary>A transaction on xenstore. Disposing it without a commit abandons it.</summary>
public interface IXenStoreTransaction : IXenStoreAccess, IDisposable
{
    /// <summary>Ends the transaction.</summary>
    /// <returns>False where another writer came in between (EAGAIN): nothing was done, and the whole transaction is to be run again.</returns>
    /// <exception cref="HypervisorException">The store failed.</exception>
    bool TryCommit();
}

/// <summary>What a domain may do with a xenstore node.</summary>
[Flags]
public enum XenStorePermission
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Read it and list what is below it.</summary>
    Read = 1,

    /// <summary>Write it and create below it.</summary>
    Write = 2,

    /// <summary>Both.</summary>
    ReadWrite = Read | Write,
}

/// <summary>One entry of a xenstore node's permissions.</summary>
/// <param name="Domain">Whom it is about.</param>
/// <param name="Permission">What that domain may do.</param>
public readonly record struct XenStoreEntry(DomainId Domain, XenStorePermission Permission);
