namespace Xen.Blkif.Testing;

/// <summary>What is about to be done to a <see cref="SimulatedXenStore"/>.</summary>
public enum StoreOperation
{
    /// <summary>Read a node.</summary>
    Read,

    /// <summary>Write a node.</summary>
    Write,

    /// <summary>Remove a node.</summary>
    Remove,

    /// <summary>List the names below a node.</summary>
    List,

    /// <summary>Set who may reach a node.</summary>
    SetPermissions,

    /// <summary>Begin a transaction; its path is <c>/</c>.</summary>
    BeginTransaction,

    /// <summary>Commit a transaction; its path is <c>/</c>.</summary>
    Commit,

    /// <summary>Watch a node.</summary>
    Watch,
}
