using Xen.Blkif.Targets;
using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.Samples.Host.Tests;

internal sealed class TargetSpecTests
{
    [TestCase("memory:1M", typeof(MemoryTarget), 1 << 20)]
    [TestCase("memory:512", typeof(MemoryTarget), 512)]
    [TestCase("null:2G", typeof(NullTarget), 2L << 30)]
    public async Task A_kind_and_a_size_make_a_disk_without_a_file(string spec, Type kind, long length)
    {
        await using IBlockTarget target = TargetSpec.Open(spec, FileTarget.Open, new FileTargetOptions());
        Assert.That(target, Is.TypeOf(kind));
        Assert.That(target.Info.Length, Is.EqualTo(length));
    }

    [Test]
    public async Task A_path_is_a_file_in_all_the_ways_that_toolstacks_write_it(
        [Values("", "file:", "aio:", "raw:")] string prefix, [Values("disk.img", "memory", "qcow2:disk")] string name)
    {
        using var folder = new TemporaryFolder();
        string path = folder.PathOf(name);
        await File.WriteAllBytesAsync(path, new byte[1024]);
        await using IBlockTarget target = TargetSpec.Open(prefix + path, FileTarget.Open, new FileTargetOptions());
        Assert.That(target, Is.TypeOf<FileTarget>());
        Assert.That(target.Info.Length, Is.EqualTo(1024));
    }

    [TestCase("memory:1M")]
    [TestCase("null:1M")]
    public async Task What_is_asked_for_read_only_is_read_only(string spec)
    {
        await using IBlockTarget target = TargetSpec.Open(spec, FileTarget.Open, new FileTargetOptions { ReadOnly = true });
        Assert.That(target.Info.ReadOnly, Is.True);
    }

    [TestCase(null, 512)]
    [TestCase(512, 512)]
    [TestCase(4096, 4096)]
    public async Task The_guest_sees_the_sector_size_that_was_asked_for(int? asked, int seen)
    {
        using var folder = new TemporaryFolder();
        string path = folder.PathOf("disk.img");
        await File.WriteAllBytesAsync(path, new byte[8192]);
        foreach (string spec in new[] { path, "memory:1M", "null:1M" })
        {
            await using IBlockTarget target = TargetSpec.Open(spec, FileTarget.Open, new FileTargetOptions(), asked);
            Assert.That(target.Info.LogicalSectorSize, Is.EqualTo(seen), spec);
        }
    }

    [Test]
    public async Task Smaller_sectors_than_the_storage_has_are_made_of_its_own()
    {
        await using IBlockTarget target = TargetSpec.Open("memory:1M", FileTarget.Open, new FileTargetOptions { LogicalSectorSize = 4096 }, 512);
        Assert.That(target, Is.TypeOf<Emulated512Target>());
        Assert.That((target.Info.LogicalSectorSize, target.Info.PhysicalSectorSize), Is.EqualTo((512, 4096)));
    }

    [Test]
    public void A_size_has_whole_sectors() =>
        Assert.That(() => TargetSpec.Open("memory:512", FileTarget.Open, new FileTargetOptions(), 4096), Throws.TypeOf<TargetException>().With.Message.Contains("multiple of 4096"));

    [TestCase("memory:", "no size")]
    [TestCase("memory:0", "no size")]
    [TestCase("memory:100", "multiple of 512")]
    [TestCase("null:lots", "no size")]
    [TestCase("file:", "no file")]
    [TestCase("", "no file")]
    [TestCase("/no/such/image", "does not exist")]
    public void What_names_no_storage_is_refused_in_a_sentence_that_says_why(string spec, string words) =>
        Assert.That(() => TargetSpec.Open(spec, FileTarget.Open, new FileTargetOptions()), Throws.TypeOf<TargetException>().With.Message.Contains(words));
}
