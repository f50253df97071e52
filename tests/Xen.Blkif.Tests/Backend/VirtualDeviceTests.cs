using Xen.Blkif.Backend;

namespace Xen.Blkif.Tests.Backend;

[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class VirtualDeviceTests
{
    // From docs/man/xen-vbd-interface.7: 202<<8|disk<<4|partition, 1<<28|disk<<8|partition, 8<<8 for sd, 3<<8 and 22<<8 for hd.
    [TestCase("xvda", 51712)]
    [TestCase("xvda1", 51713)]
    [TestCase("xvda15", 51727)]
    [TestCase("xvda16", (1 << 28) | 16)]
    [TestCase("xvda255", (1 << 28) | 255)]
    [TestCase("xvdb", 51728)]
    [TestCase("xvdp", 51952)]
    [TestCase("xvdp15", 51967)]
    [TestCase("xvdq", (1 << 28) | (16 << 8))]
    [TestCase("xvdz", (1 << 28) | (25 << 8))]
    [TestCase("xvdaa", (1 << 28) | (26 << 8))]
    [TestCase("xvdaa3", (1 << 28) | (26 << 8) | 3)]
    [TestCase("xvdzz", (1 << 28) | (701 << 8))]
    [TestCase("xvdaaa", (1 << 28) | (702 << 8))]
    [TestCase("d0", 51712)]
    [TestCase("d0p0", 51712)]
    [TestCase("d0p1", 51713)]
    [TestCase("d5p1", (202 << 8) | (5 << 4) | 1)]
    [TestCase("d16", (1 << 28) | (16 << 8))]
    [TestCase("d1048575p255", (1 << 28) | (1048575 << 8) | 255)]
    [TestCase("hda", 3 << 8)]
    [TestCase("hda63", (3 << 8) | 63)]
    [TestCase("hdb", (3 << 8) | 64)]
    [TestCase("hdb2", (3 << 8) | 66)]
    [TestCase("hdc", 22 << 8)]
    [TestCase("hdd1", (22 << 8) | 65)]
    [TestCase("sda", 8 << 8)]
    [TestCase("sda15", (8 << 8) | 15)]
    [TestCase("sdp", (8 << 8) | (15 << 4))]
    [TestCase("51712", 51712)]
    [TestCase("2147483647", int.MaxValue)]
    public void Every_form_of_a_name_has_its_number(string name, int number)
    {
        Assert.That(VirtualDevice.TryParse(name, out VirtualDevice device), Is.True);
        Assert.That((device.Number, device.Name, device.ToString()), Is.EqualTo((number, name, name)));
        Assert.That(VirtualDevice.Parse(name), Is.EqualTo(device));
    }

    [TestCase("")]
    [TestCase(" ")]
    [TestCase("xvd")]
    [TestCase("XVDA")]
    [TestCase("xvdA")]
    [TestCase("xvda0")]
    [TestCase("xvda256")]
    [TestCase("xvda-1")]
    [TestCase("xvda 1")]
    [TestCase("xvda1 ")]
    [TestCase("xvda1b")]
    [TestCase("xvda/../xvdb")]
    [TestCase("xvdzzzzz")]
    [TestCase("xvdzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz")]
    [TestCase("xvdé")]
    [TestCase("hde")]
    [TestCase("hda64")]
    [TestCase("sdq")]
    [TestCase("sda16")]
    [TestCase("d")]
    [TestCase("dp1")]
    [TestCase("d0p")]
    [TestCase("d0p256")]
    [TestCase("d1048576")]
    [TestCase("d99999999999")]
    [TestCase("0")]
    [TestCase("-1")]
    [TestCase("2147483648")]
    [TestCase("99999999999999999999")]
    [TestCase("vda")]
    public void What_names_no_disk_is_refused_with_a_sentence_that_says_so(string name)
    {
        Assert.That(VirtualDevice.TryParse(name, out _), Is.False);
        Assert.That(() => VirtualDevice.Parse(name), Throws.InstanceOf<FormatException>().With.Message.Contains($"'{name}' names no virtual disk"));
    }

    [Test]
    public void No_name_is_no_disk() => Assert.That(VirtualDevice.TryParse(null, out _), Is.False);

    [Test]
    public void Two_disks_have_two_numbers([Values("xvd", "hd", "sd")] string prefix)
    {
        var names = Enumerable.Range('a', prefix == "hd" ? 4 : 16).SelectMany(letter => Enumerable.Range(0, 16)
            .Select(partition => $"{prefix}{(char)letter}{(partition == 0 ? "" : partition)}"));
        Assert.That(names.Select(name => VirtualDevice.Parse(name).Number), Is.Unique);
    }
}
