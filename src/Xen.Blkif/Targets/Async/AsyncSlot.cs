using System.Buffers;
using System.Runtime.CompilerServices;
using Xen.Blkif.Memory;

namespace Xen.Blkif.Targets.Async;

/// <summary>One request under way in a target with tasks: one call, whatever pieces its memory is in. Reused, so that it allocates nothing.</summary>
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

    // The data in one piece, where the request has it in several: a call for each would cost a wait for each.
    private byte[]? _gathered;

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
        try
        {
#pragma warning disable CA2012 // consumed once, by this awaiter; a field, so that no closure is needed
            _awaiter = Call().ConfigureAwait(false).GetAwaiter();
#pragma warning restore CA2012
            if (!_awaiter.IsCompleted)
            {
                // The last thing to be done here: the task may complete, and the slot be used again, before the call returns.
                _awaiter.UnsafeOnCompleted(_resume);
                return BlockStatus.Pending;
            }
        }
#pragma warning disable CA1031 // whatever a user's target throws, the guest gets its answer
        catch (Exception e)
#pragma warning restore CA1031
        {
            return End(StatusOf(e));
        }

        return Finish();
    }

    private void Resume()
    {
        BlockStatus status = Finish();
        _completions.Complete(_io.Slot, status);
    }

    private BlockStatus Finish()
    {
        try
        {
            _awaiter.GetResult();
            if (_gathered is not null && _io.Kind == BlockIoKind.Read)
                Scatter(_gathered);
            return End(BlockStatus.Okay);
        }
#pragma warning disable CA1031 // as in Start
        catch (Exception e)
#pragma warning restore CA1031
        {
            return End(StatusOf(e));
        }
    }

    private BlockStatus End(BlockStatus status)
    {
        if (_gathered is not null)
            ArrayPool<byte>.Shared.Return(_gathered);
        _gathered = null;
        return status;
    }

    private static BlockStatus StatusOf(Exception exception) => exception is NotSupportedException ? BlockStatus.NotSupported : BlockStatus.Error;

    private ValueTask Call()
    {
        if (_io.Kind == BlockIoKind.Flush)
            return _target.FlushAsync();
        if (_io.Kind == BlockIoKind.Discard)
            return _target.DiscardAsync(_io.Offset, _io.Length);
        if (_io.Kind == BlockIoKind.SecureDiscard)
            return _target.SecureDiscardAsync(_io.Offset, _io.Length);

        Memory<byte> memory = _io.VectorCount == 1 ? _view.PointAt(_io.Vectors[0].Address, (int)_io.Length) : Gather();
        return _io.Kind == BlockIoKind.Read ? _target.ReadAsync(_io.Offset, memory) : _target.WriteAsync(_io.Offset, memory);
    }

    private Memory<byte> Gather()
    {
        _gathered = ArrayPool<byte>.Shared.Rent((int)_io.Length);
        Memory<byte> memory = _gathered.AsMemory(0, (int)_io.Length);
        if (_io.Kind == BlockIoKind.Read)
            return memory;

        Span<byte> rest = memory.Span;
        foreach (IoVector vector in _io.Vectors)
        {
            vector.Span.CopyTo(rest);
            rest = rest.Slice((int)vector.Length);
        }

        return memory;
    }

    private void Scatter(ReadOnlySpan<byte> rest)
    {
        foreach (IoVector vector in _io.Vectors)
        {
            rest.Slice(0, (int)vector.Length).CopyTo(vector.Span);
            rest = rest.Slice((int)vector.Length);
        }
    }
}
