using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

internal sealed class MemoryTargetTests
{
    [Test]
    public void Its_memory_is_reached_past_any_queue_as_far_as_it_goes()
    {
        var disk = new MemoryTarget(1024);
        disk.CopyFrom(1020, [1, 2, 3, 4]);
        byte[] end = new byte[6];
        disk.CopyTo(1018, end);
        Assert.That(end, Is.EqualTo(new byte[] { 0, 0, 1, 2, 3, 4 }));
        Assert.That(() => disk.CopyTo(1019, end), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => disk.CopyFrom(-1, end), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => disk.CopyFrom(long.MaxValue, end), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public async Task Its_memory_is_not_reached_after_it_was_given_back()
    {
        var disk = new MemoryTarget(1024);
        IBlockQueue queue = disk.OpenQueue(1, null!);
        await disk.DisposeAsync();
        Assert.That(() => disk.CopyTo(0, new byte[8]), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => disk.CopyFrom(0, new byte[8]), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => queue.Submit(BlockIo.Discard(0, 0, 512)), Throws.TypeOf<ObjectDisposedException>());
    }

    [TestCase(0)]
    [TestCase(-512)]
    [TestCase(513)]
    public void A_disk_has_whole_sectors_and_at_least_one(long length)
    {
        Assert.That(() => new MemoryTarget(length), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new NullTarget(length), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void A_null_disk_clears_what_it_reads_into()
    {
        using var driver = new TargetDriver(new NullTarget(1L << 50));
        Assert.That(driver.Read((1L << 50) - 4096, 4096), Is.All.Zero);
    }
}
