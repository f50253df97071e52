using Xen.Blkif.Targets.Files;

namespace Xen.Blkif.Tests.Targets;

/// <summary>What sysfs says of the units of a block device's discards.</summary>
internal sealed class DeviceDiscardsTests
{
    [Test]
    public void A_disk_has_them_in_its_queue()
    {
        using var folder = new TemporaryFolder();
        string disk = Disk(folder, "65536\n", "4096\n");
        Assert.That(DeviceDiscards.Read(disk, 512), Is.EqualTo(new DeviceDiscards(65536, 4096)));
    }

    [Test]
    public void A_partition_has_the_units_of_its_disk_and_an_alignment_of_its_own()
    {
        using var folder = new TemporaryFolder();
        string partition = Directory.CreateDirectory(Path.Combine(Disk(folder, "65536\n", "0\n"), "sda1")).FullName;
        File.WriteAllText(Path.Combine(partition, "partition"), "1\n");
        File.WriteAllText(Path.Combine(partition, "discard_alignment"), "32768\n");
        Assert.That(DeviceDiscards.Read(partition, 512), Is.EqualTo(new DeviceDiscards(65536, 32768)));
    }

    [TestCase("0", Description = "a disk that cannot discard")]
    [TestCase("512", Description = "less than a sector")]
    [TestCase("5000", Description = "no whole sectors")]
    [TestCase("99999999999")]
    [TestCase("many")]
    [TestCase("")]
    public void Units_that_cannot_be_are_sectors(string granularity)
    {
        using var folder = new TemporaryFolder();
        Assert.That(DeviceDiscards.Read(Disk(folder, granularity, "0"), 4096), Is.EqualTo(new DeviceDiscards(4096, 0)));
    }

    [Test]
    public void A_device_that_sysfs_does_not_know_has_sectors()
    {
        using var folder = new TemporaryFolder();
        Assert.That(DeviceDiscards.Read(folder.Path, 512), Is.EqualTo(new DeviceDiscards(512, 0)));
        Assert.That(DeviceDiscards.Read(null, 4096), Is.EqualTo(new DeviceDiscards(4096, 0)));
    }

    private static string Disk(TemporaryFolder folder, string granularity, string alignment)
    {
        string disk = Directory.CreateDirectory(Path.Combine(folder.Path, "sda")).FullName;
        Directory.CreateDirectory(Path.Combine(disk, "queue"));
        File.WriteAllText(Path.Combine(disk, "queue", "discard_granularity"), granularity);
        File.WriteAllText(Path.Combine(disk, "discard_alignment"), alignment);
        return disk;
    }
}
