using Microsoft.Win32.SafeHandles;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets.Writing;

/// <summary>A disk in two files of the same size: writes go to both, and either alone is enough to read.</summary>
internal sealed class MirrorTarget : AsyncBlockTarget
{
    private readonly SafeFileHandle _first;
    private readonly SafeFileHandle _second;

    public MirrorTarget(string first, string second)
    {
        _first = Open(first);
        _second = Open(second);
        long length = Math.Min(RandomAccess.GetLength(_first), RandomAccess.GetLength(_second));
        Info = new BlockTargetInfo(length) { Flush = Capability.Emulated };
    }

    public override BlockTargetInfo Info { get; }

    public override async ValueTask ReadAsync(long offset, Memory<byte> buffer)
    {
        try
        {
            await ReadFullyAsync(_first, offset, buffer);
        }
        catch (IOException)
        {
            await ReadFullyAsync(_second, offset, buffer);
        }
    }

    public override async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer) => await Task.WhenAll(
        RandomAccess.WriteAsync(_first, buffer, offset).AsTask(),
        RandomAccess.WriteAsync(_second, buffer, offset).AsTask());

    // Written through: a write that has completed is on both disks already.
    public override ValueTask FlushAsync() => default;

    public override ValueTask DisposeAsync()
    {
        _first.Dispose();
        _second.Dispose();
        return base.DisposeAsync();
    }

    private static SafeFileHandle Open(string path) => File.OpenHandle(
        path, FileMode.Open, FileAccess.ReadWrite, FileShare.None, FileOptions.Asynchronous | FileOptions.WriteThrough);

    private static async ValueTask ReadFullyAsync(SafeFileHandle file, long offset, Memory<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            int done = await RandomAccess.ReadAsync(file, buffer, offset);
            if (done == 0)
                throw new EndOfStreamException();
            offset += done;
            buffer = buffer[done..];
        }
    }
}
