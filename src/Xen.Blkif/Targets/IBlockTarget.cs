namespace Xen.Blkif.Targets;

/// <summary>Storage that a virtual disk is served from.</summary>
/// <remarks>
/// Thread-safe. A device opens one queue for each of its rings; a queue belongs to one thread. Disposing comes last, after all queues.
/// To write one of your own, derive from <see cref="AsyncBlockTarget"/>, unless completions by slot index suit your storage better.
/// </remarks>
public interface IBlockTarget : IAsyncDisposable
{
    /// <summary>What the target is and can do. The same for as long as a queue is open, but for its length.</summary>
    /// <remarks>
    /// The length may become another at any time. Whoever serves the target reads it when told to, as by
    /// <see cref="Backend.BlockBackend.RefreshSize"/>, and only then makes requests in a part that is new. Requests beyond a new end may still
    /// be under way: they fail.
    /// </remarks>
    BlockTargetInfo Info { get; }

    /// <summary>Opens what one ring uses.</summary>
    /// <param name="depth">How many requests can be under way at once; slots are numbered from 0 to one less.</param>
    /// <param name="completions">Where requests are completed that <see cref="IBlockQueue.Submit"/> left pending.</param>
    IBlockQueue OpenQueue(int depth, IBlockCompletions completions);
}

/// <summary>The part of a target that one ring uses, from one thread.</summary>
/// <remarks>
/// A queue may rely on what it is given: inside the target, aligned to its logical sector size, no write or discard to a read-only target,
/// no flush or discard that the target does not offer, a discard of at most <see cref="BlockTargetInfo.MaxDiscardLength"/>, a slot with
/// nothing under way. All of that was checked before. It is disposed when nothing is under way.
/// </remarks>
public interface IBlockQueue : IDisposable
{
    /// <summary>Starts a request.</summary>
    /// <param name="io">What to do. The vectors stay where they are until the request is completed.</param>
    /// <returns>
    /// The result where it is known at once; <see cref="BlockStatus.Pending"/> where <see cref="IBlockCompletions.Complete"/> brings it,
    /// which may happen before this returns.
    /// </returns>
    BlockStatus Submit(in BlockIo io);

    /// <summary>Says that requests follow at once, one or more: they may be held back until <see cref="Unplug"/>, to be started together. Does not throw.</summary>
    void Plug();

    /// <summary>Starts what was held back. Does not throw: what cannot be started is completed with <see cref="BlockStatus.Error"/>.</summary>
    void Unplug();
}

/// <summary>Takes the results of requests that were left pending.</summary>
public interface IBlockCompletions
{
    /// <summary>Completes the request under way in a slot. Any thread may call; it neither blocks nor allocates.</summary>
    /// <param name="slot">The slot that the request came with.</param>
    /// <param name="status">Any but <see cref="BlockStatus.Pending"/>.</param>
    /// <exception cref="InvalidOperationException">No request is under way in the slot: it was completed twice, or never submitted.</exception>
    void Complete(int slot, BlockStatus status);
}

/// <summary>How a request to a target went.</summary>
public enum BlockStatus : byte
{
    /// <summary>Its result comes later.</summary>
    Pending,

    /// <summary>Done.</summary>
    Okay,

    /// <summary>Failed. What a read was to fill is undefined; what a write was to change is the old, the new, or a mixture of both.</summary>
    Error,

    /// <summary>The storage cannot do this after all; nothing was done.</summary>
    NotSupported,
}
