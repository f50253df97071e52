using Xen.Blkif.Targets.Async;

namespace Xen.Blkif.Targets;

/// <summary>The base of targets with methods that return tasks: the way to write one of your own.</summary>
/// <remarks>
/// Derived classes are called on the threads of the queues, with up to one request per slot and queue under way at once, and must be
/// thread-safe. A method that is done when it returns costs no allocation; one that is not resumes wherever its task completes.
/// Exceptions become failed requests. What a method may rely on is said at <see cref="IBlockQueue"/>.
/// </remarks>
public abstract class AsyncBlockTarget : IBlockTarget
{
    /// <inheritdoc/>
    public abstract BlockTargetInfo Info { get; }

    /// <summary>Fills a buffer.</summary>
    /// <param name="offset">The first byte on the target.</param>
    /// <param name="buffer">All of it is to be filled. Not to be touched after the task has completed.</param>
    public abstract ValueTask ReadAsync(long offset, Memory<byte> buffer);

    /// <summary>Writes a buffer.</summary>
    /// <param name="offset">The first byte on the target.</param>
    /// <param name="buffer">What to write. Not to be touched after the task has completed.</param>
    public abstract ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer);

    /// <summary>Brings every write that has completed to stable storage. Called where <see cref="BlockTargetInfo.Flush"/> offers it.</summary>
    public virtual ValueTask FlushAsync() => throw new NotSupportedException();

    /// <summary>Gives a range back. Called where <see cref="BlockTargetInfo.Discard"/> offers it.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">Bytes, at most <see cref="BlockTargetInfo.MaxDiscardLength"/>.</param>
    public virtual ValueTask DiscardAsync(long offset, long length) => throw new NotSupportedException();

    /// <summary>Makes all copies of a range unrecoverable. Called where <see cref="BlockTargetInfo.ErasesSecurely"/> offers it.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">Bytes, at most <see cref="BlockTargetInfo.MaxDiscardLength"/>.</param>
    public virtual ValueTask SecureDiscardAsync(long offset, long length) => throw new NotSupportedException();

    /// <inheritdoc/>
    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) => new AsyncQueue(this, depth, completions);

    /// <inheritdoc/>
    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return default;
    }
}
