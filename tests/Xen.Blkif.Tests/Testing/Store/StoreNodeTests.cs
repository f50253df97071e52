using NUnit.Framework;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Testing.Store;

internal sealed class StoreNodeTests
{
    [Test]
    public void What_is_written_is_read_and_its_parents_are_made()
    {
        using var xen = new SimulatedXen();

        xen.Store.Write("/a/b/c", "value");
        xen.Store.Write("/a/a", "");

        Assert.That(xen.Store.Read("/a/b/c"), Is.EqualTo("value"));
        Assert.That(xen.Store.Read("/a/b"), Is.Empty);
        Assert.That(xen.Store.Read("/a/b/d"), Is.Null);
        Assert.That(xen.Store.List("/a"), Is.EqualTo(["a", "b"]));
        Assert.That(xen.Store.List("/x"), Is.Empty);
    }

    [Test]
    public void Removing_a_node_removes_all_below_it()
    {
        using var xen = new SimulatedXen();
        xen.Store.Write("/a/b/c", "1");
        xen.Store.Write("/a/bc", "2");

        xen.Store.Remove("/a/b");
        xen.Store.Remove("/a/b");

        Assert.That(xen.Store.Read("/a/b/c"), Is.Null);
        Assert.That(xen.Store.List("/a"), Is.EqualTo(["bc"]));
        Assert.That(() => xen.Store.Remove("/"), Throws.TypeOf<HypervisorException>());
    }

    [Test]
    public void A_relative_path_begins_at_the_home_of_its_domain()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(3);

        guest.Store.Write("a", "1");
        xen.Store.Write("a", "0");

        Assert.That(xen.Store.Read("/local/domain/3/a"), Is.EqualTo("1"));
        Assert.That(xen.Store.Read("/local/domain/0/a"), Is.EqualTo("0"));
    }

    [TestCase("")]
    [TestCase("//")]
    [TestCase("/a/")]
    [TestCase("/a//b")]
    [TestCase("/a b")]
    [TestCase("/a.b")]
    [TestCase("/\u00e9")]
    [TestCase("a/")]
    public void A_path_with_a_mistake_is_refused(string path)
    {
        using var xen = new SimulatedXen();

        Assert.That(() => xen.Store.Write(path, ""), Throws.TypeOf<HypervisorException>());
        Assert.That(() => xen.Store.Watch(path, _ => { }), Throws.TypeOf<HypervisorException>());
    }

    [Test]
    public void A_path_and_a_value_have_a_longest_length()
    {
        using var xen = new SimulatedXen();
        var longest = "/" + new string('a', 3071);

        Assert.That(() => xen.Store.Write(longest, new string('v', 4096)), Throws.Nothing);
        Assert.That(() => xen.Store.Write(longest + "a", ""), Throws.TypeOf<HypervisorException>());
        Assert.That(() => xen.Store.Write("/a", new string('v', 4097)), Throws.TypeOf<HypervisorException>());
        Assert.That(() => xen.Store.Write("/a", new string('\u00e9', 2049)), Throws.TypeOf<HypervisorException>());
    }

    [Test]
    public void Any_operation_fails_on_demand_and_then_does_nothing([Values] StoreOperation operation)
    {
        using var xen = new SimulatedXen();
        xen.Store.Write("/a", "1");
        var fault = new HypervisorException("The store does not answer.");
        var asked = new List<string>();
        xen.Store.Fault = (what, path) =>
        {
            asked.Add(path);
            return what == operation ? fault : null;
        };

        Assert.That(
            () =>
            {
                switch (operation)
                {
                    case StoreOperation.Read: _ = xen.Store.Read("/a"); break;
                    case StoreOperation.Write: xen.Store.Write("/a", "2"); break;
                    case StoreOperation.Remove: xen.Store.Remove("/a"); break;
                    case StoreOperation.List: _ = xen.Store.List("/a"); break;
                    case StoreOperation.SetPermissions: xen.Store.SetPermissions("/a", 1, XenStorePermission.Read); break;
                    case StoreOperation.Watch: _ = xen.Store.Watch("/a", _ => { }); break;
                    default:
                        using (var transaction = xen.Store.BeginTransaction())
                        {
                            transaction.Write("/a", "2");
                            _ = transaction.TryCommit();
                        }

                        break;
                }
            },
            Throws.Exception.SameAs(fault));
        Assert.That(asked, Is.Not.Empty);
        Assert.That(xen.Store.ConnectAs(0).Read("/a"), Is.EqualTo("1"));
        Assert.That(xen.Store.Watches, Is.Zero);
    }
}
