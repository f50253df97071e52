using Xen.Blkif.Backend;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Targets.Writing;

internal sealed class MirrorTargetContract : WritableTargetContract
{
    protected override IBlockTarget Create(string folder, byte[] content)
    {
        string first = Path.Combine(folder, "first.img"), second = Path.Combine(folder, "second.img");
        File.WriteAllBytes(first, content);
        File.WriteAllBytes(second, content);
        return new MirrorTarget(first, second);
    }
}

internal sealed class MirrorTargetTests
{
    private const int Size = 1 << 20;

    [Test]
    public async Task A_guest_can_read_what_it_wrote()
    {
        using var folder = new TemporaryFolder();
        string first = folder.AddSparse("first.img", Size), second = folder.AddSparse("second.img", Size);

        using var xen = new SimulatedXen();
        using var guest = xen.CreateGuest(5);
        await using var disk = new MirrorTarget(first, second);
        await using var vbd = await BlockBackend.AttachAsync(xen, guest.Id, "xvda", disk);
        await using var frontend = await BlkifFrontend.ConnectAsync(guest, "xvda");

        byte[] written = new byte[300 * 1024], read = new byte[300 * 1024];
        Random.Shared.NextBytes(written);
        frontend.Disk.Write(4096, written);
        frontend.Disk.Flush();
        frontend.Disk.Read(4096, read);
        Assert.That(read, Is.EqualTo(written));
    }

    [Test]
    public async Task When_one_file_is_cut_short_the_other_is_read()
    {
        using var folder = new TemporaryFolder();
        string first = folder.AddSparse("first.img", Size), second = folder.AddSparse("second.img", Size);
        await using var disk = new MirrorTarget(first, second);
        CutShort(first);

        using var pair = new QueuePair(disk);
        pair.Frontend.Put(BlkifOperation.Read, slot: 0, sector: 2040, length: 4096);
        Assert.That(pair.RunForResponse().Status, Is.EqualTo(BlkifStatus.Okay));
    }

    private static void CutShort(string path) => FileTargetTests.Truncate(path, 512);
}
