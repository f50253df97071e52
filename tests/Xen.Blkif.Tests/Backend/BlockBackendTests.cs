using System.Collections.Concurrent;
using Xen.Blkif.Backend;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;
using Xen.Blkif.Tests.Engine;

namespace Xen.Blkif.Tests.Backend;

[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class BlockBackendTests
{
    private static readonly string[] Offer =
    [
        "max-ring-page-order", "max-ring-pages", "multi-queue-max-queues", "feature-flush-cache", "feature-barrier", "feature-persistent", "feature-discard",
        "discard-granularity", "discard-alignment", "discard-secure", "feature-max-indirect-segments", "sectors", "sector-size",
        "physical-sector-size", "info", "hotplug-status",
    ];

    [Test]
    public async Task The_whole_offer_is_written_before_the_state_that_tells_of_it()
    {
        await using var stage = new Stage();
        var operations = Record(stage.Xen.Store);
        await using BlockBackend backend = await stage.AttachAsync();

        // The first transaction makes the nodes.
        string[] trace = operations.SkipWhile(operation => operation != "Commit /").ToArray();
        int told = Array.IndexOf(trace, $"Write {Stage.Be}/state");
        Assert.That(backend.State, Is.EqualTo(XenbusState.InitWait));
        foreach (string key in Offer)
            Assert.That(Array.IndexOf(trace, $"Write {Stage.Be}/{key}"), Is.InRange(0, told - 1), key);
    }

    [Test]
    public async Task Both_halves_are_made_as_a_toolstack_makes_them_in_one_transaction()
    {
        await using var stage = new Stage();
        var operations = Record(stage.Xen.Store);
        await using BlockBackend backend = await stage.AttachAsync();

        string[] first = operations.TakeWhile(operation => operation != "Commit /").ToArray();
        Assert.That(first.Count(operation => operation == "BeginTransaction /"), Is.EqualTo(1));
        foreach ((string key, string value) in new[]
                 {
                     ("frontend", Stage.Fe), ("frontend-id", "5"), ("online", "1"), ("removable", "0"), ("bootable", "1"), ("dev", "xvda"),
                     ("mode", "w"), ("device-type", "disk"),
                 })
        {
            Assert.That(first, Does.Contain($"Write {Stage.Be}/{key}"));
            Assert.That(stage.ReadBe(key), Is.EqualTo(value), key);
        }

        foreach ((string key, string value) in new[]
                 {
                     ("backend", Stage.Be), ("backend-id", "0"), ("virtual-device", "51712"), ("device-type", "disk"), ("state", "1"),
                 })
        {
            Assert.That(first, Does.Contain($"Write {Stage.Fe}/{key}"));
            Assert.That(stage.ReadFe(key), Is.EqualTo(value), key);
        }
    }

    [Test]
    public async Task A_writable_disk_is_offered_with_what_its_target_can_do()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        Assert.That(OfferOf(stage), Is.EqualTo(new Dictionary<string, string>
        {
            ["max-ring-page-order"] = "4", ["max-ring-pages"] = "16", ["multi-queue-max-queues"] = "4", ["feature-flush-cache"] = "1", ["feature-barrier"] = "0",
            ["feature-persistent"] = "1", ["feature-discard"] = "1", ["discard-granularity"] = "512", ["discard-alignment"] = "0",
            ["discard-secure"] = "0", ["sectors"] = "2048", ["sector-size"] = "512", ["physical-sector-size"] = "512", ["info"] = "0",
            ["feature-max-indirect-segments"] = "256", ["hotplug-status"] = "connected",
        }));
    }

    [TestCase(0, null)]
    [TestCase(32, "32")]
    [TestCase(256, "256")]
    public async Task As_many_indirect_segments_are_offered_as_the_options_say_and_none_where_they_say_none(int segments, string? offered)
    {
        await using var stage = new Stage();
        stage.Options = stage.Options with { MaxIndirectSegments = segments };
        await using BlockBackend backend = await stage.AttachAsync();
        Assert.That(stage.ReadBe("feature-max-indirect-segments"), Is.EqualTo(offered));
    }

    [TestCase(-1)]
    [TestCase(257)]
    public void More_indirect_segments_than_there_is_room_for_cannot_be_offered(int segments) =>
        Assert.That(() => new BackendOptions { MaxIndirectSegments = segments }, Throws.InstanceOf<ArgumentOutOfRangeException>());

    [TestCase(0, 32, 24)]
    [TestCase(11, 32, 24)]
    [TestCase(16, 32, 16)]
    [TestCase(256, 32, 8)]
    [TestCase(256, 256, 1)]
    [TestCase(256, 0, 24)]
    public async Task A_frontend_makes_its_requests_as_large_as_both_sides_can(int offered, int asked, int requests)
    {
        await using var stage = new Stage();
        stage.Options = stage.Options with { MaxIndirectSegments = offered };
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { Depth = 8, MaxIndirectSegments = asked });
        byte[] written = new byte[1 << 20], read = new byte[1 << 20];
        new Random(offered).NextBytes(written);
        frontend.Disk.Write(0, written);
        frontend.Disk.Read(0, read);
        Assert.That(read.AsSpan().SequenceEqual(written), Is.True);
        Assert.That((backend.Queues[0].Writes.Done, backend.Queues[0].Reads.Bytes), Is.EqualTo((requests, 1L << 20)));
    }

    [TestCase(FrontendStyle.MiniOs)]
    [TestCase(FrontendStyle.Grub)]
    public async Task A_frontend_that_does_not_wait_for_the_offer_makes_no_indirect_requests(FrontendStyle style)
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { Style = style });
        Assert.That(frontend.Queue.MaxSegments, Is.EqualTo(11));
    }

    [Test]
    public async Task A_read_only_disk_says_so_and_offers_no_discard()
    {
        await using var stage = new Stage(new ReadOnlyTarget(new NullTarget(1 << 20)));
        await using BlockBackend backend = await stage.AttachAsync();
        Assert.That((stage.ReadBe("mode"), stage.ReadBe("info")), Is.EqualTo(("r", "4")));
        Assert.That(OfferOf(stage).Keys, Has.None.Contains("discard"));
    }

    [Test]
    public async Task A_read_only_disk_offers_no_discard_even_where_its_target_says_that_it_can()
    {
        await using var stage = new Stage(new ScriptedTarget { Info = new BlockTargetInfo(1 << 20) { ReadOnly = true, Discard = Capability.Native } });
        await using BlockBackend backend = await stage.AttachAsync();
        Assert.That(OfferOf(stage).Keys, Has.None.Contains("discard"));
    }

    [Test]
    public async Task A_target_without_flush_and_discard_offers_neither()
    {
        await using var stage = new Stage(new ScriptedTarget { Info = new BlockTargetInfo(1 << 20) });
        await using BlockBackend backend = await stage.AttachAsync();
        Assert.That(stage.ReadBe("feature-flush-cache"), Is.EqualTo("0"));
        Assert.That(OfferOf(stage).Keys, Has.None.Contains("discard"));
    }

    [Test]
    public async Task The_size_is_told_in_units_of_512_bytes_whatever_the_sector_size()
    {
        await using var stage = new Stage(new ScriptedTarget
        {
            Info = new BlockTargetInfo(1 << 20) { LogicalSectorSize = 4096, PhysicalSectorSize = 8192, Discard = Capability.Native, DiscardGranularity = 65536 },
        });
        await using BlockBackend backend = await stage.AttachAsync();
        Assert.That(
            (stage.ReadBe("sectors"), stage.ReadBe("sector-size"), stage.ReadBe("physical-sector-size"), stage.ReadBe("discard-granularity")),
            Is.EqualTo(("2048", "4096", "8192", "65536")));
    }

    [TestCase(0, "1")]
    [TestCase(2, "4")]
    [TestCase(4, "16")]
    public async Task The_largest_ring_is_the_one_that_the_options_allow(int order, string pages)
    {
        await using var stage = new Stage();
        stage.Options = stage.Options with { MaxRingPageOrder = order };
        await using BlockBackend backend = await stage.AttachAsync();
        Assert.That((stage.ReadBe("max-ring-page-order"), stage.ReadBe("max-ring-pages")), Is.EqualTo(($"{order}", pages)));
    }

    [TestCase(1)]
    [TestCase(16)]
    public async Task The_most_queues_are_those_that_the_options_allow(int queues)
    {
        await using var stage = new Stage();
        stage.Options = stage.Options with { MaxQueues = queues };
        await using BlockBackend backend = await stage.AttachAsync();
        Assert.That(stage.ReadBe("multi-queue-max-queues"), Is.EqualTo($"{queues}"));
        await using BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { Queues = queues, Depth = 4 });
        Assert.That(backend.Connection!.QueueCount, Is.EqualTo(queues));
    }

    [Test]
    public void Unless_set_there_are_as_many_queues_as_processors_up_to_four() =>
        Assert.That(new BackendOptions().MaxQueues, Is.EqualTo(Math.Min(Environment.ProcessorCount, 4)));

    [Test]
    [Property("Advisory", "XSA-115")]
    public async Task Each_side_may_reach_what_it_needs_and_a_third_domain_nothing()
    {
        await using var stage = new Stage();
        SimulatedGuest other = stage.Xen.CreateGuest(6);
        await using BlockBackend backend = await stage.AttachAsync();

        // Every node, not only the two folders: what is made later inherits, what was there before does not.
        foreach (string path in stage.Xen.Store.List(Stage.Be).Select(name => $"{Stage.Be}/{name}").Append(Stage.Be))
        {
            Assert.That(() => stage.Guest.Store.Read(path), Is.Not.Null, path);
            Assert.That(() => stage.Guest.Store.Write(path, "x"), Throws.InstanceOf<HypervisorException>(), path);
            Assert.That(() => stage.Guest.Store.Remove(path), Throws.InstanceOf<HypervisorException>(), path);
            Assert.That(() => other.Store.Read(path), Throws.InstanceOf<HypervisorException>(), path);
        }

        foreach (string path in stage.Xen.Store.List(Stage.Fe).Select(name => $"{Stage.Fe}/{name}").Append(Stage.Fe))
        {
            Assert.That(() => stage.Guest.Store.Write(path, stage.Guest.Store.Read(path)!), Throws.Nothing, path);
            Assert.That(() => other.Store.Read(path), Throws.InstanceOf<HypervisorException>(), path);
            Assert.That(() => other.Store.Write(path, "x"), Throws.InstanceOf<HypervisorException>(), path);
        }
    }

    [Test]
    public async Task What_a_guest_has_put_in_the_place_of_its_half_beforehand_does_not_stay()
    {
        await using var stage = new Stage();
        stage.Guest.Store.Write($"{Stage.Fe}/state", "4");
        stage.Guest.Store.SetPermissions($"{Stage.Fe}/state", Stage.GuestId, XenStorePermission.ReadWrite);
        stage.Guest.Store.Write($"{Stage.Fe}/ring-page-order", "4");
        await using BlockBackend backend = await stage.AttachAsync();
        Assert.That((stage.ReadFe("state"), stage.ReadFe("ring-page-order")), Is.EqualTo(("1", (string?)null)));
        Assert.That(() => stage.Xen.Store.ConnectAs(6).Read($"{Stage.Fe}/state"), Throws.InstanceOf<HypervisorException>());
    }

    [Test]
    public async Task A_disk_that_is_there_already_is_left_as_it_is()
    {
        await using var stage = new Stage();
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            await using BlkifFrontend frontend = await stage.ConnectAsync();
            var failure = await Assert.ThrowsAsync<HypervisorException>(stage.AttachAsync);
            Assert.That(failure!.Message, Is.EqualTo("Domain 5 has a disk xvda already: detach it first, or choose another name."));
            Stage.DoesIo(frontend);
            Assert.That(backend.State, Is.EqualTo(XenbusState.Connected));
        }

        stage.AssertNothingLeft();
    }

    [Test]
    public async Task There_must_be_such_a_guest()
    {
        await using var stage = new Stage();
        var failure = await Assert.ThrowsAsync<HypervisorException>(() => BlockBackend.AttachAsync(stage.Xen, 77, "xvda", stage.Target));
        Assert.That(failure!.Message, Is.EqualTo("There is no domain 77 to attach xvda to."));
        Assert.That(stage.Xen.Store.Read("/local/domain/77"), Is.Null);
        stage.AssertNothingLeft();
    }

    [TestCase("xvd")]
    [TestCase("../../6/x")]
    public async Task There_must_be_such_a_name(string name)
    {
        await using var stage = new Stage();
        await Assert.ThrowsAsync<FormatException>(() => BlockBackend.AttachAsync(stage.Xen, Stage.GuestId, name, stage.Target));
        stage.AssertNothingLeft();
    }

    [Test]
    public void Options_that_make_no_sense_are_refused_when_they_are_set()
    {
        Action[] settings =
        [
            () => _ = new BackendOptions { MaxRingPageOrder = -1 }, () => _ = new BackendOptions { MaxRingPageOrder = 5 },
            () => _ = new BackendOptions { MaxQueues = 0 }, () => _ = new BackendOptions { MaxQueues = 17 },
            () => _ = new BackendOptions { MaxRequests = -1 }, () => _ = new BackendOptions { MaxIndirectRequests = -1 },
            () => _ = new BackendOptions { MaxBufferPages = -1 }, () => _ = new MemoryBudget(-1),
            () => _ = new BackendOptions { GuestMemory = (GuestMemoryAccess)3 }, () => _ = new BackendOptions { MaxPersistentGrants = -1 },
            () => _ = new BackendOptions { MaxPersistentGrants = (1 << 20) + 1 }, () => _ = new BackendOptions { PersistentGrantTimeout = TimeSpan.Zero },
            () => _ = new BackendOptions { PersistentGrantTimeout = TimeSpan.FromDays(2) },
            () => _ = new BackendOptions { DetachTimeout = TimeSpan.FromSeconds(-5) },
            () => _ = new BackendOptions { DetachTimeout = TimeSpan.FromDays(2) }, () => _ = new BackendOptions { BackendType = "" },
            () => _ = new BackendOptions { BackendType = "../x" }, () => _ = new BackendOptions { BackendType = "a/b" },
        ];
        foreach (Action setting in settings)
            Assert.That(setting, Throws.InstanceOf<ArgumentException>());
    }

    [Test]
    public async Task Nodes_that_nobody_made_cannot_be_served()
    {
        await using var stage = new Stage();
        var failure = await Assert.ThrowsAsync<HypervisorException>(() => BlockBackend.ServeAsync(stage.Xen, Stage.GuestId, "xvda", stage.Target));
        Assert.That(failure!.Message, Does.Contain("5/xvda").And.Contain(Stage.Be));
        stage.AssertNothingLeft();
    }

    [Test]
    public async Task A_failure_of_xenstore_at_any_operation_of_an_attach_leaves_nothing_behind()
    {
        bool fired = true;
        for (int n = 0; fired; n++)
        {
            await using var stage = new Stage();
            int count = 0;
            int hit = 0;
            string failed = "";
            stage.Xen.Store.Fault = (operation, path) =>
            {
                if (Interlocked.Increment(ref count) - 1 != n)
                    return null;
                failed = $"{operation} {path}";
                Volatile.Write(ref hit, 1);
                return new HypervisorException("the store is out of order");
            };

            try
            {
                BlockBackend backend = await stage.AttachAsync();
                stage.Xen.Store.Fault = null;
                await using (BlkifFrontend frontend = await stage.ConnectAsync())
                    Stage.DoesIo(frontend, 4096);
                await backend.DisposeAsync();
            }
            catch (HypervisorException e)
            {
                Assert.That(e.Message, Is.EqualTo("the store is out of order"));
            }

            stage.Xen.Store.Fault = null;
            stage.AssertNothingLeft($"after a failure of operation {n}, {failed}");
            fired = Volatile.Read(ref hit) != 0;
            Assert.That(n, Is.LessThan(500));
            if (!fired)
                Assert.That(n, Is.GreaterThan(40), "operations of an attach");
        }
    }

    [Test]
    public async Task A_store_that_fails_for_good_fails_the_attach_soon()
    {
        await using var stage = new Stage();
        bool gone = false;
        stage.Xen.Store.Fault = (operation, path) =>
        {
            // As soon as both halves are made and watched.
            gone |= operation == StoreOperation.Read && path == $"{Stage.Fe}/state";
            return gone ? new HypervisorException("the store is gone") : null;
        };
        await Assert.ThrowsAsync<HypervisorException>(stage.AttachAsync);
        Assert.That(stage.Xen.Store.Watches, Is.Zero);
        Assert.That(stage.Log.AtLeast(Microsoft.Extensions.Logging.LogLevel.Error), Has.Some.Contains("may be left behind"));
    }

    [Test]
    public async Task A_failure_of_xenstore_while_the_disk_is_in_use_is_got_over()
    {
        await using var stage = new Stage();
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            // The transaction by which the backend would announce that it is connected.
            int failures = 0;
            stage.Xen.Store.Fault = (operation, path) =>
                operation == StoreOperation.Write && path == $"{Stage.Be}/state" && Interlocked.Increment(ref failures) == 1
                    ? new HypervisorException("busy") : null;
            await using BlkifFrontend frontend = await stage.ConnectAsync();
            Assert.That(failures, Is.GreaterThan(1));
            Stage.DoesIo(frontend);
        }

        stage.AssertNothingLeft();
    }

    private static ConcurrentQueue<string> Record(SimulatedXenStore store)
    {
        var operations = new ConcurrentQueue<string>();
        store.Fault = (operation, path) =>
        {
            operations.Enqueue($"{operation} {path}");
            return null;
        };
        return operations;
    }

    private static Dictionary<string, string> OfferOf(Stage stage) =>
        stage.Xen.Store.List(Stage.Be).Where(Offer.Contains).ToDictionary(key => key, key => stage.ReadBe(key)!);
}
