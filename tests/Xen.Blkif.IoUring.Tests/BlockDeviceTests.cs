using Xen.Blkif.IoUring.Queues;
using Xen.Blkif.Targets;
using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.IoUring.Tests;

/// <summary>Block devices of this machine, which are only read.</summary>
internal sealed class BlockDeviceTests
{
    [Test]
    [Platform("Linux")]
    public async Task A_block_device_is_read_by_the_ring([Values] bool direct)
    {
        Ring.Require();
        var options = new FileTargetOptions { ReadOnly = true, DirectIo = direct };
        string reason = "there is none";
        foreach (string folder in Directory.Exists("/sys/block") ? Directory.GetDirectories("/sys/block") : [])
        {
            string path = $"/dev/{Path.GetFileName(folder)}";
            if (File.ReadAllText(Path.Combine(folder, "size")).Trim() == "0")
                continue;
            try
            {
                await using FileTarget plain = FileTarget.Open(path, options);
                await using IoUringTarget target = Ring.Open(path, options);
                using var expected = new TargetDriver(plain);
                using var driver = new TargetDriver(target);
                Assert.That(driver.Read(0, 64 * 1024), Is.EqualTo(expected.Read(0, 64 * 1024)));
                using var bell = new Doorbell();
                using IWaitableQueue? queue = target.OpenQueue(4, driver, bell);
                Assert.That(queue, Is.Not.Null, "its node is in memory, but it is not");
                return;
            }
            catch (TargetException e)
            {
                // Somebody else's: the next one may be free.
                reason = e.Message;
            }
        }

        Assert.Ignore($"ignored: no block device can be read here: {reason}");
    }
}
