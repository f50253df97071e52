using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

/// <summary>When the tasks of a <see cref="TaskTarget"/> complete.</summary>
internal enum TaskTiming
{
    AtOnce,
    Later,
    Mixed,
}

/// <summary>An array of bytes behind methods that return tasks.</summary>
internal sealed class TaskTarget(byte[] content, TaskTiming timing) : AsyncBlockTarget
{
    private int _calls;

    public override BlockTargetInfo Info { get; } = new(content.Length) { Flush = Capability.Native, Discard = Capability.Emulated };

    public override ValueTask ReadAsync(long offset, Memory<byte> buffer)
    {
        if (IsLater())
            return ReadLater(offset, buffer);

        content.AsMemory((int)offset, buffer.Length).CopyTo(buffer);
        return default;
    }

    public override ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
    {
        if (IsLater())
            return WriteLater(offset, buffer);

        buffer.CopyTo(content.AsMemory((int)offset));
        return default;
    }

    public override async ValueTask FlushAsync() => await Task.Yield();

    public override ValueTask DiscardAsync(long offset, long length)
    {
        content.AsSpan((int)offset, (int)length).Clear();
        return default;
    }

    private async ValueTask ReadLater(long offset, Memory<byte> buffer)
    {
        await Task.Yield();
        content.AsMemory((int)offset, buffer.Length).CopyTo(buffer);
    }

    private async ValueTask WriteLater(long offset, ReadOnlyMemory<byte> buffer)
    {
        await Task.Yield();
        buffer.CopyTo(content.AsMemory((int)offset));
    }

    private bool IsLater() => timing == TaskTiming.Later || (timing == TaskTiming.Mixed && Interlocked.Increment(ref _calls) % 3 == 0);
}
