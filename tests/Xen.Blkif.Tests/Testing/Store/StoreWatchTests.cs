using System.Collections.Concurrent;
using NUnit.Framework;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Testing.Store;

internal sealed class StoreWatchTests
{
    private const int Long = 60_000;

    [Test]
    public void A_watch_fires_once_at_registration()
    {
        using var xen = new SimulatedXen();

        Assert.That(Seen(xen, xen.Store, "/not/there", () => { }, registration: true), Is.EqualTo(["/not/there"]));
    }

    [Test]
    public void A_watch_fires_for_changes_at_and_below_its_node_and_for_no_others()
    {
        using var xen = new SimulatedXen();
        xen.Store.Write("/a", "0");

        Assert.That(Seen(xen, xen.Store, "/a/b", () =>
        {
            xen.Store.Write("/a", "1");
            xen.Store.Write("/a/bc", "1");
            xen.Store.Remove("/a/b/absent");
        }), Is.Empty);
        Assert.That(Seen(xen, xen.Store, "/a/b", () => xen.Store.Write("/a/b", "1")), Is.EqualTo(["/a/b"]));
        Assert.That(Seen(xen, xen.Store, "/a/b", () => xen.Store.Write("/a/b/c/d", "1")), Is.EqualTo(["/a/b/c/d"]));
        Assert.That(Seen(xen, xen.Store, "/", () => xen.Store.Write("/a/b/c/d", "1")), Is.EqualTo(["/a/b/c/d"]));
        Assert.That(
            Seen(xen, xen.Store, "/a/b", () => xen.Store.SetPermissions("/a/b/c", 0, XenStorePermission.Read)),
            Is.EqualTo(["/a/b/c"]));
        Assert.That(Seen(xen, xen.Store, "/a/b", () => xen.Store.Remove("/a/b/c")), Is.EqualTo(["/a/b/c"]));
        Assert.That(Seen(xen, xen.Store, "/a/b", () => xen.Store.Remove("/a")), Is.EqualTo(["/a/b"]));
        Assert.That(Seen(xen, xen.Store, "/a/b", () => xen.Store.Write("/a", "1")), Is.Empty);
    }

    [Test]
    public void A_relative_watch_reports_relative_paths()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(1);

        Assert.That(
            Seen(xen, guest.Store, "device", () => xen.Store.Write("/local/domain/1/device/x", "1"), registration: true),
            Is.EqualTo(["device", "device/x"]));
    }

    [Test]
    public void A_transaction_fires_at_its_commit_alone()
    {
        using var xen = new SimulatedXen();

        Assert.That(Seen(xen, xen.Store, "/a", () =>
        {
            using var abandoned = xen.Store.BeginTransaction();
            abandoned.Write("/a/x", "1");
        }), Is.Empty);
        using var transaction = xen.Store.BeginTransaction();
        Assert.That(Seen(xen, xen.Store, "/a", () => transaction.Write("/a/x", "1")), Is.Empty);
        Assert.That(Seen(xen, xen.Store, "/a", () => transaction.Write("/a/y", "1")), Is.Empty);
        Assert.That(Seen(xen, xen.Store, "/a", () => Assert.That(transaction.TryCommit(), Is.True)), Is.EqualTo(["/a/x", "/a/y"]));
    }

    [Test]
    public void A_guest_hears_only_of_nodes_it_may_see()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(1);
        xen.Store.Write("/back/open", "0");
        xen.Store.Write("/back/closed", "0");
        xen.Store.SetPermissions("/back/open", 0, XenStorePermission.None, new XenStoreEntry(1, XenStorePermission.Read));

        Assert.That(Seen(xen, guest.Store, "/", () =>
        {
            xen.Store.Write("/back/closed", "1");
            xen.Store.Remove("/back/closed");
            xen.Store.Write("/back/open", "1");
        }), Is.EqualTo(["/back/open"]));
        Assert.That(
            Seen(xen, guest.Store, "/back", () => xen.Store.SetPermissions("/back/open", 0, XenStorePermission.None)),
            Is.EqualTo(["/back/open"]));
        Assert.That(Seen(xen, guest.Store, "/back", () => xen.Store.Write("/back/open", "2")), Is.Empty);
    }

    [Test]
    public void A_million_changes_of_one_node_are_one_pending_event()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(1);
        using var blocked = new ManualResetEventSlim();
        using var entered = new ManualResetEventSlim();
        var calls = 0;
        using var watch = xen.Store.Watch("/local/domain/1/state", _ =>
        {
            calls++;
            entered.Set();
            blocked.Wait();
        });
        entered.Wait();

        var highest = 0;
        for (var i = 0; i < 1_000_000; i++)
        {
            guest.Store.Write("state", (i & 1) == 0 ? "3" : "4");
            if (i % 1000 == 0)
                highest = Math.Max(highest, xen.Store.PendingEvents);
        }

        Assert.That((highest, xen.Store.PendingEvents), Is.EqualTo((1, 1)));
        blocked.Set();
        Assert.That(xen.Store.WaitUntilIdle(Long), Is.True);
        Assert.That(calls, Is.EqualTo(2));
    }

    [Test]
    public void A_watch_is_silent_once_it_is_disposed()
    {
        using var xen = new SimulatedXen();
        var disposed = false;
        var late = 0;
        for (var i = 0; i < 2000; i++)
        {
            disposed = false;
            var watch = xen.Store.Watch("/a", _ =>
            {
                if (Volatile.Read(ref disposed))
                    late++;
            });
            xen.Store.Write("/a", "1");
            watch.Dispose();
            Volatile.Write(ref disposed, true);
            xen.Store.Write("/a", "2");
            Assert.That(xen.Store.WaitUntilIdle(Long), Is.True);
        }

        Assert.That((late, xen.Store.Watches, xen.Store.PendingEvents), Is.EqualTo((0, 0, 0)));
    }

    [Test]
    public void A_watch_may_be_disposed_from_its_own_callback()
    {
        using var xen = new SimulatedXen();
        IDisposable? watch = null;
        var calls = 0;
        using var registered = new ManualResetEventSlim();
        watch = xen.Store.Watch("/a", _ =>
        {
            registered.Wait();
            calls++;
            watch!.Dispose();
        });
        xen.Store.Write("/a", "1");
        xen.Store.Write("/a/b", "1");
        registered.Set();

        Assert.That(xen.Store.WaitUntilIdle(Long), Is.True);
        Assert.That((calls, xen.Store.Watches), Is.EqualTo((1, 0)));
    }

    [Test]
    public void A_callback_that_throws_stops_no_other_and_shows_at_the_end()
    {
        var xen = new SimulatedXen();
        var fault = new InvalidOperationException("From a callback.");
        _ = xen.Store.Watch("/a", _ => throw fault);

        Assert.That(Seen(xen, xen.Store, "/b", () => xen.Store.Write("/b", "1")), Is.EqualTo(["/b"]));
        Assert.That(xen.Store.WatchFailure, Is.SameAs(fault));
        Assert.That(xen.Dispose, Throws.Exception.SameAs(fault));
        Assert.That(xen.Dispose, Throws.Nothing);
    }

    [Test]
    public void A_guest_has_as_many_watches_as_the_quota_allows()
    {
        using var xen = new SimulatedXen();
        xen.Limits.StoreWatches = 2;
        var guest = xen.CreateGuest(1);
        using var first = guest.Store.Watch("a", _ => { });
        var second = guest.Store.Watch("a", _ => { });

        Assert.That(
            () => guest.Store.ConnectAs(1).Watch("a", _ => { }),
            Throws.TypeOf<HypervisorException>().With.Message.Contains("2 watches"));
        second.Dispose();
        second.Dispose();
        using var third = guest.Store.Watch("b", _ => { });
        Assert.That((guest.Store.Watches, xen.Store.Watches), Is.EqualTo((2, 0)));
    }

    [Test]
    public void Callbacks_come_one_after_the_other_on_one_thread_of_the_store()
    {
        using var xen = new SimulatedXen();
        var threads = new ConcurrentBag<int>();
        var watches = Enumerable.Range(0, 20)
            .Select(_ => xen.Store.Watch("/a", _ => threads.Add(Environment.CurrentManagedThreadId)))
            .ToArray();

        Assert.That(xen.Store.WaitUntilIdle(Long), Is.True);
        Assert.That(threads, Has.Count.EqualTo(20));
        Assert.That(threads.Distinct().ToArray(), Has.Length.EqualTo(1).And.None.EqualTo(Environment.CurrentManagedThreadId));
        foreach (var watch in watches)
            watch.Dispose();
    }

    [Test]
    public void The_death_of_a_guest_fires_the_watches_of_the_backend()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(1);
        guest.Store.Write("device/vbd/768/state", "4");

        Assert.That(
            Seen(xen, xen.Store, "/local/domain/1/device/vbd/768/state", () => xen.DestroyGuest(1)),
            Is.EqualTo(["/local/domain/1/device/vbd/768/state"]));
    }

    /// <summary>The paths that a watch reports while something is done, in order.</summary>
    private static string[] Seen(SimulatedXen xen, SimulatedXenStore store, string path, Action change, bool registration = false)
    {
        var seen = new ConcurrentQueue<string>();
        using var watch = store.Watch(path, seen.Enqueue);
        Assert.That(xen.Store.WaitUntilIdle(Long), Is.True);
        if (!registration)
            seen.Clear();
        change();
        Assert.That(xen.Store.WaitUntilIdle(Long), Is.True);
        return [.. seen];
    }
}
