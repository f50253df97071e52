using Xen.Blkif.IoUring.Queues;
using Xen.Blkif.Targets;
using Xen.Blkif.Targets.Files;
using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.IoUring.Tests;

/// <summary>Block devices: past the page cache by the ring, else without it.</summary>
internal sealed class BlockDeviceTests
{
    private const int Length = 1 << 20;

    [Test]
    [Platform("Linux")]
    public async Task A_block_device_is_read_written_and_discarded([Values] bool? direct)
    {
        Ring.Require();
        using var folder = new TemporaryFolder();
        byte[] bytes = new byte[Length];
        new Random(1).NextBytes(bytes);
        string file = folder.Add("disk.img", bytes);
        using LoopDevice device = LoopDevice.Of(file);
        await using (IoUringTarget target = Ring.Open(device.Path, new FileTargetOptions { DirectIo = direct }))
        {
            using var bell = new Doorbell();
            using var driver = new TargetDriver(target);
            using (IWaitableQueue? queue = target.OpenQueue(4, driver, bell))
                Assert.That(queue, direct == false ? Is.Null : Is.Not.Null, "through the page cache, threads are quicker");

            Assert.That(driver.Read(8192, 65536), Is.EqualTo(bytes[8192..(8192 + 65536)]));
            driver.Write(4096, bytes.AsSpan(0, 65536));
            driver.StartDiscard(0, 512 * 1024, 128 * 1024);
            Assert.That(driver.Wait(0), Is.EqualTo(BlockStatus.Okay));
            Assert.That(driver.Do(BlockIoKind.Flush), Is.EqualTo(BlockStatus.Okay));
        }

        bytes.AsSpan(0, 65536).ToArray().CopyTo(bytes, 4096);
        bytes.AsSpan(512 * 1024, 128 * 1024).Clear();
        Assert.That(await File.ReadAllBytesAsync(file), Is.EqualTo(bytes));
    }

    [TestCase(512, null, null, true)]
    [TestCase(512, null, false, false)]
    [TestCase(512, 4096, null, true)]
    [TestCase(4096, null, null, false)]
    [TestCase(4096, null, true, true)]
    [TestCase(4096, 512, null, false)]
    [Platform("Linux")]
    public async Task A_block_device_goes_past_the_page_cache_unless_told_otherwise_or_its_sectors_are_large(int sectors, int? wanted, bool? direct, bool isDirect)
    {
        using var folder = new TemporaryFolder();
        using LoopDevice device = LoopDevice.Of(folder.AddSparse("disk.img", Length), sectors);
        await using FileTarget target = FileTarget.Open(device.Path, new FileTargetOptions { LogicalSectorSize = wanted, DirectIo = direct });
        Assert.That((target.File.IsDirect, target.Info.LogicalSectorSize), Is.EqualTo((isDirect, wanted ?? sectors)));
        using var driver = new TargetDriver(target);
        byte[] bytes = new byte[4096];
        new Random(2).NextBytes(bytes);
        driver.Write(8192, bytes);
        Assert.That(driver.Read(8192, 4096), Is.EqualTo(bytes));
    }

    [Test]
    [Platform("Linux")]
    public void Smaller_sectors_than_a_block_device_has_are_refused_where_the_page_cache_is_to_be_left_out()
    {
        using var folder = new TemporaryFolder();
        using LoopDevice device = LoopDevice.Of(folder.AddSparse("disk.img", Length), 4096);
        Assert.That(
            () => FileTarget.Open(device.Path, new FileTargetOptions { LogicalSectorSize = 512, DirectIo = true }),
            Throws.TypeOf<TargetException>().With.Message.EndWith("has a unit of 4096 bytes: sectors of 512 need the page cache, or are made of larger ones."));
    }

    [Test]
    [Platform("Linux")]
    public void A_loop_device_has_its_readers_sleep_and_is_for_the_ring()
    {
        using var folder = new TemporaryFolder();
        using LoopDevice device = LoopDevice.Of(folder.AddSparse("disk.img", Length));
        using var file = new PositionalFile(device.Path, readOnly: true);
        Assert.That(file.TryGoDirect(), Is.True);
        Assert.That(PlainCalls.AreQuickerFor(file), Is.False);
    }
}
