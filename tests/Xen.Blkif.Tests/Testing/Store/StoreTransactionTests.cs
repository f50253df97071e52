using NUnit.Framework;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Testing.Store;

internal sealed class StoreTransactionTests
{
    [Test]
    public void Nothing_shows_before_the_commit_and_everything_after_it()
    {
        using var xen = new SimulatedXen();
        xen.Store.Write("/a", "0");
        using var transaction = xen.Store.BeginTransaction();

        transaction.Write("/a", "1");
        transaction.Write("/b/c", "2");
        transaction.SetPermissions("/b", 7, XenStorePermission.None);

        Assert.That((transaction.Read("/a"), transaction.Read("/b/c")), Is.EqualTo(("1", "2")));
        Assert.That((xen.Store.Read("/a"), xen.Store.Read("/b")), Is.EqualTo(("0", (string?)null)));
        Assert.That(transaction.TryCommit(), Is.True);
        Assert.That((xen.Store.Read("/a"), xen.Store.Read("/b/c")), Is.EqualTo(("1", "2")));
        Assert.That(xen.Store.ConnectAs(7).Read("/b"), Is.Empty);
        Assert.That(() => transaction.Read("/a"), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(transaction.TryCommit, Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void A_transaction_that_is_disposed_has_done_nothing()
    {
        using var xen = new SimulatedXen();

        using (var transaction = xen.Store.BeginTransaction())
            transaction.Write("/a", "1");

        Assert.That(xen.Store.Read("/a"), Is.Null);
    }

    [Test]
    public void A_transaction_sees_the_store_as_it_was_at_its_beginning()
    {
        using var xen = new SimulatedXen();
        xen.Store.Write("/a", "0");
        using var transaction = xen.Store.BeginTransaction();

        xen.Store.Write("/a", "1");
        xen.Store.Write("/b", "1");

        Assert.That((transaction.Read("/a"), transaction.Read("/b")), Is.EqualTo(("0", (string?)null)));
        Assert.That(transaction.TryCommit(), Is.False);
    }

    [TestCase("read /x/a", "write /x/a", ExpectedResult = false)]
    [TestCase("read /x/a", "remove /x", ExpectedResult = false)]
    [TestCase("read /x/a", "permit /x/a", ExpectedResult = false)]
    [TestCase("read /x/new", "write /x/new", ExpectedResult = false)]
    [TestCase("list /x", "write /x/new", ExpectedResult = false)]
    [TestCase("list /x", "write /x/a", ExpectedResult = true)]
    [TestCase("write /x/a", "write /x/a", ExpectedResult = false)]
    [TestCase("write /x/a", "remove /x/a", ExpectedResult = false)]
    [TestCase("write /x/a", "write /x/b", ExpectedResult = true)]
    [TestCase("write /x/a", "write /y/new", ExpectedResult = true)]
    [TestCase("write /x/new", "write /x/other", ExpectedResult = false)]
    [TestCase("write /y/new", "remove /y", ExpectedResult = false)]
    [TestCase("remove /x", "write /x/a", ExpectedResult = false)]
    [TestCase("remove /x", "write /x/a/deep", ExpectedResult = false)]
    [TestCase("permit /x/a", "write /x/a", ExpectedResult = false)]
    [TestCase("read /x/a", "write /x/b", ExpectedResult = true)]
    public bool A_commit_succeeds_unless_what_was_read_or_written_has_changed(string inside, string meanwhile)
    {
        using var xen = new SimulatedXen();
        xen.Store.Write("/x/a", "0");
        xen.Store.Write("/x/b", "0");
        xen.Store.Write("/y", "0");
        using var transaction = xen.Store.BeginTransaction();

        Do(transaction, inside);
        Do(xen.Store, meanwhile);
        return transaction.TryCommit();

        static void Do(IXenStoreAccess store, string what)
        {
            var path = what.Split(' ')[1];
            switch (what.Split(' ')[0])
            {
                case "read": _ = store.Read(path); break;
                case "list": _ = store.List(path); break;
                case "write": store.Write(path, "1"); break;
                case "remove": store.Remove(path); break;
                default: store.SetPermissions(path, 1, XenStorePermission.Read); break;
            }
        }
    }

    [Test]
    public void A_quota_that_is_reached_at_the_commit_leaves_the_store_as_it_was()
    {
        using var xen = new SimulatedXen();
        xen.Limits.StoreNodes = 4;
        var one = xen.CreateGuest(1).Store;
        one.Write("x", "");
        one.Write("y", "");
        using var transaction = one.BeginTransaction();
        transaction.Write("x/a", "1");
        one.Write("y/b", "1");

        Assert.That(transaction.TryCommit, Throws.TypeOf<HypervisorException>());
        Assert.That(one.List("x"), Is.Empty);
        one.Remove("y/b");
        Assert.That(() => one.Write("x/a", "1"), Throws.Nothing);
    }

    [Test]
    public void Random_transactions_do_what_a_simple_model_does([Values(1, 2, 3, 4, 5, 6, 7, 8)] int seed)
    {
        TestContext.Out.WriteLine($"Seed {seed}.");
        var random = new Random(seed);
        using var xen = new SimulatedXen();
        var model = new StoreModel();
        var committed = 0;
        for (var round = 0; round < 2000; round++)
        {
            // Two transactions at a time, and changes outside of both.
            using var first = new ModelledTransaction(xen.Store, model);
            using var second = new ModelledTransaction(xen.Store, model);
            for (var step = random.Next(1, 8); step > 0; step--)
            {
                switch (random.Next(5))
                {
                    case 0: StoreModel.RandomChange(random, out var path, out var value); model.Apply(xen.Store, path, value); break;
                    case <= 2: first.Step(random); break;
                    default: second.Step(random); break;
                }
            }

            committed += first.Commit(model) + second.Commit(model);
            Assert.That(StoreModel.Dump(xen.Store), Is.EqualTo(model.Dump()), $"seed {seed}, round {round}");
        }

        Assert.That(committed, Is.InRange(1000, 3999), "the sequence should have both commits and conflicts");
    }
}
