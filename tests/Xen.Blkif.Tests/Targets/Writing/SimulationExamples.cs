using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Targets.Writing;

/// <summary>The examples of <c>docs/testing.md</c>.</summary>
internal sealed class SimulationExamples
{
    [Test]
    public async Task A_target_is_seen_by_a_guest_as_in_a_real_Xen()
    {
        IBlockTarget myTarget = new MemoryTarget(64 << 20);
        using var xen = new SimulatedXen();
        using var guest = xen.CreateGuest(5);
        await using var vbd = await BlockBackend.AttachAsync(xen, guest.Id, "xvda", myTarget);
        await using var frontend = await BlkifFrontend.ConnectAsync(guest, "xvda");

        byte[] written = new byte[1 << 20], read = new byte[1 << 20];
        Random.Shared.NextBytes(written);
        frontend.Disk.Write(4096, written);
        frontend.Disk.Flush();
        frontend.Disk.Read(4096, read);
        Assert.That(read, Is.EqualTo(written));
    }

    [Test]
    public async Task Everything_that_Xen_does_for_a_backend_can_fail()
    {
        using var xen = new SimulatedXen();
        using var guest = xen.CreateGuest(5);
        await using var disk = new MemoryTarget(64 << 20);

        // Xenstore: no disk is attached, and nothing of it is left behind.
        xen.Store.Fault = (operation, path) => operation == StoreOperation.Commit ? new HypervisorException("xenstored is gone") : null;
        Assert.That(async () => await BlockBackend.AttachAsync(xen, guest.Id, "xvda", disk), Throws.TypeOf<HypervisorException>());
        xen.Store.Fault = null;

        // The ring cannot be mapped: the backend closes instead of connecting, and the guest may try again.
        await using var vbd = await BlockBackend.AttachAsync(xen, guest.Id, "xvda", disk);
        xen.Grants.MapFault = (domain, grant) => GrantStatus.GeneralError;
        Assert.That(async () => await BlkifFrontend.ConnectAsync(guest, "xvda"), Throws.InvalidOperationException);
        xen.Grants.MapFault = null;

        // The event channel cannot be bound: the same.
        xen.Events.BindFault = (domain, port) => true;
        Assert.That(async () => await BlkifFrontend.ConnectAsync(guest, "xvda"), Throws.InvalidOperationException);
        xen.Events.BindFault = null;

        // The guest's data can be neither mapped nor copied: that request fails, the next one does not.
        await using var frontend = await BlkifFrontend.ConnectAsync(guest, "xvda");
        xen.Grants.MapFault = xen.Grants.CopyFault = (domain, grant) => GrantStatus.GeneralError;
        Assert.That(() => frontend.Disk.Write(0, new byte[512]), Throws.TypeOf<BlkifRequestException>());
        xen.Grants.MapFault = xen.Grants.CopyFault = null;
        frontend.Disk.Write(0, new byte[512]);
    }
}
