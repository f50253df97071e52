using Xen.Blkif.Backend;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Targets.Writing;

/// <summary>The example of the README.</summary>
internal sealed class ReadmeExample
{
    [Test]
    public async Task The_shortest_useful_program_reads_a_sector()
    {
        await File.WriteAllBytesAsync("web.img", new byte[4096]);

        using var xen = new SimulatedXen();                          // a Xen in this process
        using var guest = xen.CreateGuest(5);
        await using var disk = FileTarget.Open("web.img");
        await using var vbd = await BlockBackend.AttachAsync(xen, guest.Id, "xvda", disk);

        await using var frontend = await BlkifFrontend.ConnectAsync(guest, "xvda");   // the guest's driver
        byte[] sector = new byte[512];
        frontend.Disk.Read(0, sector);
        Console.WriteLine($"sector 0 starts with {sector[0]:x2}, served by {vbd.Path}");

        Assert.That(vbd.Queues[0].Reads.Done, Is.EqualTo(1));
    }
}
