using Xen.Blkif.PerfTests.Scale;
using Xen.Blkif.Protocol;
using Xen.Blkif.Testing;

namespace Xen.Blkif.PerfTests.Tests.Scale;

internal sealed class HeldDiskTests
{
    [Test]
    public void A_disk_that_holds_has_every_request_under_way_until_it_is_released()
    {
        var disk = new HeldDisk(1 << 20);
        using var pair = new QueuePair(disk);
        disk.Hold();
        for (int slot = 0; slot < 3; slot++)
            pair.Frontend.Put(BlkifOperation.Read, slot, 0, 4096);
        pair.Run();
        Assert.That(() => disk.WaitFor(3, TimeSpan.Zero), Throws.Nothing);
        Assert.That(() => disk.WaitFor(4, TimeSpan.Zero), Throws.InvalidOperationException.With.Message.EqualTo("3 requests are under way, not 4."));
        Assert.That(pair.Engine.InFlight, Is.EqualTo(3));
        disk.Release();
        pair.Run();
        Assert.That(pair.Engine.InFlight, Is.Zero);
    }
}
