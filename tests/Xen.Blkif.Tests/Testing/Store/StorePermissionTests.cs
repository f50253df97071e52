using NUnit.Framework;
using NUnit.Framework.Constraints;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Testing.Store;

internal sealed class StorePermissionTests
{
    [Test]
    public void A_guest_owns_its_home_and_nothing_else()
    {
        using var xen = new SimulatedXen();
        var one = xen.CreateGuest(1).Store;
        var two = xen.CreateGuest(2).Store;
        xen.Store.Write("/tool/secret", "s");

        one.Write("device/vbd/51712/state", "1");

        Assert.That(xen.Store.Read("/local/domain/1/device/vbd/51712/state"), Is.EqualTo("1"));
        Assert.That(one.Read("/local/domain/1/device/vbd/51712/state"), Is.EqualTo("1"));
        Assert.That(() => two.Read("/local/domain/1/device/vbd/51712/state"), Denied(2));
        Assert.That(() => two.Write("/local/domain/1/device/vbd/51712/state", "2"), Denied(2));
        Assert.That(() => two.Write("/local/domain/1/device/other", "2"), Denied(2));
        Assert.That(() => two.Remove("/local/domain/1/device"), Denied(2));
        Assert.That(() => two.List("/local/domain/1"), Denied(2));
        Assert.That(() => two.List("/"), Denied(2));
        Assert.That(() => one.Read("/tool/secret"), Denied(1));
        Assert.That(() => one.Read("/tool/absent"), Denied(1));
    }

    [Test]
    public void An_entry_goes_before_what_others_may_do([Values] XenStorePermission others, [Values] XenStorePermission entry)
    {
        using var xen = new SimulatedXen();
        xen.Store.Write("/node", "v");
        xen.Store.SetPermissions("/node", 0, others, new XenStoreEntry(1, entry));

        Check(xen.Store.ConnectAs(1), entry);
        Check(xen.Store.ConnectAs(2), others);

        static void Check(SimulatedXenStore store, XenStorePermission expected)
        {
            Assert.That(() => store.Read("/node"), (expected & XenStorePermission.Read) != 0 ? Is.EqualTo("v") : Denied(store.Domain));
            Assert.That(
                () => store.Write("/node", "v"),
                (expected & XenStorePermission.Write) != 0 ? Throws.Nothing : Denied(store.Domain));
        }
    }

    [Test]
    public void A_new_node_has_the_permissions_of_its_parent_but_belongs_to_the_guest_that_made_it()
    {
        using var xen = new SimulatedXen();
        xen.Store.Write("/shared", "");
        xen.Store.SetPermissions("/shared", 3, XenStorePermission.None, new XenStoreEntry(1, XenStorePermission.ReadWrite));
        var one = xen.Store.ConnectAs(1);

        one.Write("/shared/by/guest", "1");
        xen.Store.Write("/shared/tool", "0");

        // The owner of the parent is not the owner of what domain 1 made, and is no entry of it either.
        Assert.That(() => xen.Store.ConnectAs(3).Read("/shared/by/guest"), Denied(3));
        Assert.That(() => one.SetPermissions("/shared/by", 1, XenStorePermission.Read), Throws.Nothing);
        Assert.That(() => one.SetPermissions("/shared/tool", 3, XenStorePermission.Read), Denied(1));
        Assert.That(xen.Store.ConnectAs(3).Read("/shared/tool"), Is.EqualTo("0"));
    }

    [Test]
    public void A_guest_cannot_give_a_node_away()
    {
        using var xen = new SimulatedXen();
        var one = xen.CreateGuest(1).Store;
        one.Write("node", "");

        Assert.That(() => one.SetPermissions("node", 2, XenStorePermission.None), Denied(1));
        Assert.That(() => one.SetPermissions("absent", 1, XenStorePermission.None), Throws.TypeOf<HypervisorException>());
        Assert.That(() => one.SetPermissions("node", 1, XenStorePermission.Read), Throws.Nothing);
        Assert.That(() => xen.Store.SetPermissions("/local/domain/1/node", 2, XenStorePermission.None), Throws.Nothing);
    }

    [Test]
    public void A_guest_owns_as_many_nodes_as_the_quota_allows()
    {
        using var xen = new SimulatedXen();
        xen.Limits.StoreNodes = 4;
        var one = xen.CreateGuest(1).Store;
        one.Write("a/b", "");

        Assert.That(() => one.Write("c/d", ""), Throws.TypeOf<HypervisorException>().With.Message.Contains("4"));
        Assert.That(one.List("/local/domain/1"), Is.EqualTo(["a"]));
        Assert.That(() => one.Write("c", ""), Throws.Nothing);
        Assert.That(() => one.Write("d", ""), Throws.TypeOf<HypervisorException>());
        Assert.That(() => xen.Store.Write("/local/domain/1/d", ""), Throws.Nothing);
        one.Remove("a");
        xen.Store.SetPermissions("/local/domain/1/d", 0, XenStorePermission.None);
        Assert.That(() => one.Write("e/f", ""), Throws.Nothing);
        Assert.That(() => one.Write("g", ""), Throws.TypeOf<HypervisorException>());
    }

    [Test]
    public void The_connection_of_a_guest_ends_with_it()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(1);
        guest.Store.Write("a/b", "1");
        using var watch = guest.Store.Watch("a", _ => { });

        guest.Dispose();

        Assert.That(xen.Store.List("/local/domain"), Is.Empty);
        Assert.That(guest.Store.Watches, Is.Zero);
        Assert.That(() => guest.Store.Write("a", "2"), Throws.TypeOf<HypervisorException>().With.Message.Contains("domain 1"));
        Assert.That(() => xen.DestroyGuest(1), Throws.TypeOf<HypervisorException>());
        using var heir = xen.CreateGuest(1);
        guest.Dispose();
        Assert.That(() => heir.Store.Write("a", "2"), Throws.Nothing);
    }

    private static ContainsConstraint Denied(DomainId domain) =>
        Throws.TypeOf<HypervisorException>().With.Message.Contains($"omain {domain} may not");
}
