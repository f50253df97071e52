using NUnit.Framework;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Testing;

internal sealed class SimulatedXenTests
{
    [Test]
    public void A_domain_exists_once()
    {
        using var xen = new SimulatedXen();
        using var guest = xen.CreateGuest(1);

        Assert.That(() => xen.CreateGuest(1), Throws.TypeOf<HypervisorException>().With.Message.Contains("1"));
        Assert.That(() => xen.CreateGuest(0), Throws.TypeOf<HypervisorException>().With.Message.Contains("0"));
        Assert.That(() => xen.CreateGuest(2, 0), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void A_guest_that_is_gone_can_do_nothing_more()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(1);
        guest.Dispose();
        guest.Dispose();

        Assert.That(() => guest.AllocateUnbound(0), Throws.TypeOf<HypervisorException>());
        Assert.That(() => guest.Store.Read("a"), Throws.TypeOf<HypervisorException>());
        Assert.That(() => NativePages.At(guest.AddressOf(0), 4096).Count((byte)0), Is.EqualTo(4096));
    }

    [Test]
    public void A_xen_that_is_disposed_makes_no_guests()
    {
        var xen = new SimulatedXen();
        _ = xen.CreateGuest(1);
        xen.Dispose();
        xen.Dispose();

        Assert.That(() => xen.CreateGuest(2), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void Ten_thousand_guests_come_and_go()
    {
        using var xen = new SimulatedXen();
        for (var i = 0; i < 10_000; i++)
        {
            using var guest = xen.CreateGuest(1, 16);
            var page = guest.AllocatePages(1);
            using var channel = guest.AllocateUnbound(0);
            using var bound = xen.Events.Bind(1, channel.Port);
            using var mapping = xen.Grants.Map(1, [guest.Grant(page, 0, writable: true)], writable: true);
        }

        Assert.That((xen.Grants.MappedPages, xen.Events.Bound, xen.Grants.Maps), Is.EqualTo((0, 0, 10_000L)));
    }
}
