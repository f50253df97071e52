using System.Runtime.CompilerServices;
using Xen.Blkif.Memory;

namespace Xen.Blkif.Targets.Async;

/// <summary>One request under way in a target with tasks: calls it for each piece of memory in turn. Reused, so that it allocates nothing.</summary>
#pragma warning disable CA1001 // the view owns nothing: the memory it shows is the request's
internal sealed class AsyncSlot
#pragma warning restore CA1001
{
    private readonly AsyncBlockTarget _target;
    private readonly IBlockCompletions _completions;
    private readonly NativeMemoryView _view = new();
    private readonly Action _resume;
    private ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter _awaiter;
    private BlockIo _io;
    private int _vector;
    private long _offset;

    public AsyncSlot(AsyncBlockTarget target, IBlockCompletions completions)
    {
        _target = target;
        _completions = completions;
        _resume = Resume;
    }

    /// <summary>Starts a request.</summary>
    /// <returns>Its result where no task had to be waited for.</returns>
    public BlockStatus Start(in BlockIo io)
    {
        _io = io;
        _vector = 0;
        _offset = io.Offset;
        return Advance(resumed: false);
    }

    private void Resume()
    {
        BlockStatus status = Advance(resumed: true);
        if (status != BlockStatus.Pending)
            _completions.Complete(_io.Slot, status);
    }

    private BlockStatus Advance(bool resumed)
    {
        try
        {
            if (resumed)
                _awaiter.GetResult();

            while (_vector == 0 || _vector < _io.VectorCount)
            {
#pragma warning disable CA2012 // consumed once, by this awaiter; a field, so that no closure is needed
                _awaiter = Call(_vector++).ConfigureAwait(false).GetAwaiter();
#pragma warning restore CA2012
                if (!_awaiter.IsCompleted)
                {
                    // The last thing to be done here: the task may complete, and this run on another thread, before the call returns.
                    _awaiter.UnsafeOnCompleted(_resume);
                    return BlockStatus.Pending;
                }

                _awaiter.GetResult();
            }

            return BlockStatus.Okay;
        }
        catch (NotSupportedException)
        {
            return BlockStatus.NotSupported;
        }
#pragma warning disable CA1031 // whatever a user's target throws, the guest gets its answer
        catch (Exception)
#pragma warning restore CA1031
        {
            return BlockStatus.Error;
        }
    }

    private ValueTask Call(int index)
    {
        if (_io.Kind == BlockIoKind.Flush)
            return _target.FlushAsync();
        if (_io.Kind == BlockIoKind.Discard)
            return _target.DiscardAsync(_io.Offset, _io.Length);

        IoVector vector = _io.Vectors[index];
        Memory<byte> memory = _view.PointAt(vector.Address, (int)vector.Length);
        long offset = _offset;
        _offset += vector.Length;
        return _io.Kind == BlockIoKind.Read ? _target.ReadAsync(offset, memory) : _target.WriteAsync(offset, memory);
    }
}
