using Xen.Blkif.IoUring.Queues;
using Xen.Blkif.Targets;
using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.IoUring.Tests;

/// <summary>Block devices: past the page cache by the ring, else without it.</summary>
internal sealed class BlockDeviceTests
{
    private const int Length = 1 << 20;

    [Test]
    [Platform("Linux")]
    public async Task A_block_device_is_read_written_and_discarded([Values] bool direct)
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
                Assert.That(queue, direct ? Is.Not.Null : Is.Null, "through the page cache, threads are quicker");

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
}
