using Xen.Blkif.Backend;
using Xen.Blkif.Native;
using Xen.Blkif.Targets;

namespace Xen.Blkif.RealXen;

/// <summary>A disk in memory that prints what is done to it, in its order, and takes a second for each flush.</summary>
internal sealed class OrderRecorder(long length) : AsyncBlockTarget
{
    private readonly byte[] _bytes = new byte[length];
    private int _flushes;

    public override BlockTargetInfo Info { get; } = new(length) { Flush = Capability.Native };

    /// <summary>Serves it until the guest is gone. Runs in domain 0.</summary>
    public static async Task<int> RunAsync(int domain, string vdev)
    {
        using var xen = XenHost.Open();
        await using var target = new OrderRecorder(1 << 20);
        await using BlockBackend disk = await BlockBackend.AttachAsync(xen, domain, vdev, target);
        Say("offered");
        await disk.Completion;
        return 0;
    }

    public override ValueTask ReadAsync(long offset, Memory<byte> buffer)
    {
        _bytes.AsMemory((int)offset, buffer.Length).CopyTo(buffer);
        return default;
    }

    public override ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
    {
        buffer.CopyTo(_bytes.AsMemory((int)offset));
        Say($"wrote {offset}");
        return default;
    }

    public override async ValueTask FlushAsync()
    {
        int number = Interlocked.Increment(ref _flushes);
        Say($"flush {number} reached the target");
        await Task.Delay(TimeSpan.FromSeconds(1));
        Say($"flush {number} is done");
    }

    // The uptime: the guest's clock is another, but the guest's words get a time of domain 0's too.
    private static void Say(string words) => Console.WriteLine($"{File.ReadAllText("/proc/uptime").Split(' ')[0]} {words}");
}
