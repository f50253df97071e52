using System.Globalization;
using Xen.Blkif.Targets.Files;

namespace Xen.Blkif.Tests.Targets;

/// <summary>What block devices say of themselves. Only asked, never written to.</summary>
internal sealed class BlockDeviceTests
{
    [Test]
    public void A_file_is_none()
    {
        using var folder = new TemporaryFolder();
        using var file = new PositionalFile(folder.AddSparse("disk.img", 4096), readOnly: false);
        Assert.That(file.Device, Is.Null);
    }

    [Test]
    [Platform("Linux")]
    public void A_device_has_the_sectors_and_the_units_that_sysfs_says()
    {
        string reason = "there is none";
        foreach (string folder in Directory.Exists("/sys/block") ? Directory.GetDirectories("/sys/block") : [])
        {
            if (Number(folder, "removable") != 0)
                continue;
            try
            {
                using var file = new PositionalFile($"/dev/{Path.GetFileName(folder)}", readOnly: true);
                Assert.That(file.Device, Is.Not.Null);
                Assert.That(
                    (file.Device!.LogicalSectorSize, file.Device.PhysicalSectorSize),
                    Is.EqualTo(((int)Number(folder, "queue/logical_block_size"), (int)Number(folder, "queue/physical_block_size"))));
                Assert.That(file.Device.Discards, Is.EqualTo(DeviceDiscards.Read(new DirectoryInfo(folder).ResolveLinkTarget(true)!.FullName, file.Device.LogicalSectorSize)));
                Assert.That((file.Device.CanDiscard, file.Device.CanErase), Is.EqualTo((false, false)), "one that was opened for reading");
                return;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Somebody else's: the next one may be free.
                reason = e.Message;
            }
        }

        Assert.Ignore($"ignored: no block device can be read here: {reason}");
    }

    private static long Number(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        return File.Exists(path) ? long.Parse(File.ReadAllText(path).Trim(), CultureInfo.InvariantCulture) : 0;
    }
}
