using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Backend;

[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class HostileKeysTests
{
    private static readonly string[] NoNumbers =
    [
        "-1", "+1", "0x10", " 1", "1 ", "1\n", "", "abc", "1e1", "1.0", "1,000", "4294967296", "18446744073709551617", "\u0661\u0662", "½", "1\u00e9",
        new string('9', 4096), new string(' ', 4096), new string('%', 4096),
    ];

    private static IEnumerable<TestCaseData> Values()
    {
        foreach (string key in new[] { "ring-ref", "event-channel", "ring-page-order", "num-ring-pages", "multi-queue-num-queues" })
        {
            for (int i = 0; i < NoNumbers.Length; i++)
                yield return new TestCaseData(key, NoNumbers[i], $"the frontend's {key} is '").SetArgDisplayNames(key, $"no number {i}");
        }

        foreach (string order in new[] { "5", "31", "32", "4294967295" })
            yield return new TestCaseData("ring-page-order", order, "more than the 4 it was offered");
        yield return new TestCaseData("ring-page-order", "2", "the frontend wrote no ring-ref0");
        yield return new TestCaseData("num-ring-pages", "0", "not a power of two");
        yield return new TestCaseData("num-ring-pages", "3", "not a power of two");
        yield return new TestCaseData("num-ring-pages", "4294967295", "not a power of two");
        yield return new TestCaseData("num-ring-pages", "2147483648", "more than the 4 it was offered");
        yield return new TestCaseData("multi-queue-num-queues", "0", "multi-queue-num-queues is 0");
        foreach (string queues in new[] { "5", "17", "2147483648", "4294967295" })
            yield return new TestCaseData("multi-queue-num-queues", queues, "more than the 4 it was offered");
        yield return new TestCaseData("multi-queue-num-queues", "2", "the frontend wrote no queue-0/ring-ref");
        foreach (string reference in new[] { "0", "8191", "8192", "4294967295" })
            yield return new TestCaseData("ring-ref", reference, $"The grant reference {reference} of domain 5 cannot be mapped");
        foreach (string port in new[] { "0", "77", "4294967295" })
            yield return new TestCaseData("event-channel", port, $"Port {port} of domain 5 cannot be bound to");
        foreach (string name in new[] { "x86_64", "X86_64-ABI", "x86_64-abi ", "ppc64-abi", "\u00fc", "%s%n", "{0}" })
            yield return new TestCaseData("protocol", name, "which is not x86_64-abi, x86_32-abi or arm-abi");
        yield return new TestCaseData("protocol", new string('x', 4096), "which is not x86_64-abi, x86_32-abi or arm-abi").SetArgDisplayNames("protocol", "long");
    }

    [TestCaseSource(nameof(Values))]
    [Property("Advisory", "CVE-2008-4405")]
    public Task A_value_that_makes_no_sense_is_refused_with_its_reason(string key, string value, string reason) =>
        IsRefused(stage => stage.WriteFe(key, value), reason);

    [TestCase("ring-ref")]
    [TestCase("event-channel")]
    public Task A_key_that_is_missing_is_refused_with_its_reason(string key) =>
        IsRefused(stage => stage.Guest.Store.Remove($"{Stage.Fe}/{key}"), $"the frontend wrote no {key}");

    [Test]
    public Task A_ring_that_is_granted_read_only_is_refused() =>
        IsRefused(stage => stage.WriteFe("ring-ref", stage.Guest.Grant(4000, 0, writable: false).ToString()), "cannot be mapped");

    [Test]
    public Task A_ring_that_is_granted_to_another_domain_is_refused() =>
        IsRefused(stage => stage.WriteFe("ring-ref", stage.Guest.Grant(4000, 9, writable: true).ToString()), "cannot be mapped");

    [Test]
    public Task A_ring_one_of_whose_pages_is_not_granted_is_refused_and_the_others_do_not_stay_mapped([Range(0, 3)] int position) =>
        IsRefused(
            stage =>
            {
                stage.WriteFe("ring-page-order", "2");
                for (int i = 0; i < 4; i++)
                    stage.WriteFe($"ring-ref{i}", i == position ? "8000" : stage.Guest.Grant(4000 + i, 0, writable: true).ToString());
            },
            "The grant reference 8000 of domain 5 cannot be mapped");

    [Test]
    public Task A_port_that_is_offered_to_another_domain_is_refused() =>
        IsRefused(stage => stage.WriteFe("event-channel", $"{stage.Guest.AllocateUnbound(9).Port}"), "it is for domain 9");

    [Test]
    public Task A_port_that_is_bound_already_is_refused()
    {
        SimulatedEventChannel? bound = null;
        return IsRefused(
            stage =>
            {
                SimulatedEventChannel offered = stage.Guest.AllocateUnbound(0);
                bound = stage.Xen.Events.Bind(Stage.GuestId, offered.Port);
                stage.WriteFe("event-channel", $"{offered.Port}");
            },
            "it is bound already",
            () => bound!.Dispose());
    }

    [Test]
    public Task A_port_of_another_guest_is_refused() =>
        IsRefused(
            stage =>
            {
                SimulatedGuest other = stage.Xen.CreateGuest(6);
                while (other.AllocateUnbound(0).Port < 50)
                {
                    // A number that the guest itself has not allocated.
                }

                stage.WriteFe("event-channel", "50");
            },
            "the port is not allocated");

    [Test]
    [Property("Advisory", "XSA-361")]
    public Task A_failure_to_map_is_a_refusal_at_each_page([Range(0, 3)] int position)
    {
        int asked = 0;
        return IsRefused(
            stage =>
            {
                stage.WriteFe("ring-page-order", "2");
                for (int i = 0; i < 4; i++)
                    stage.WriteFe($"ring-ref{i}", stage.Guest.Grant(4000 + i, 0, writable: true).ToString());
                stage.Xen.Grants.MapFault = (_, _) => asked++ == position ? GrantStatus.GeneralError : GrantStatus.Okay;
            },
            "cannot be mapped");
    }

    [Test]
    public Task A_failure_to_bind_is_a_refusal()
    {
        int asked = 0;
        return IsRefused(stage => stage.Xen.Events.BindFault = (_, _) => asked++ == 0, "the fault hook refused it");
    }

    [Test]
    [Property("Advisory", "XSA-300")]
    public Task A_limit_of_mapped_pages_that_is_reached_is_a_refusal() =>
        IsRefused(
            stage =>
            {
                stage.Xen.Limits.MappedPages = 1;
                stage.WriteFe("ring-page-order", "1");
                stage.WriteFe("ring-ref0", stage.Guest.Grant(4000, 0, writable: true).ToString());
                stage.WriteFe("ring-ref1", stage.Guest.Grant(4001, 0, writable: true).ToString());
            },
            "the limit is 1 pages",
            bystander: false);

    [Test]
    public async Task A_page_that_is_named_twice_harms_nobody()
    {
        await using var stage = new Stage();
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            using FrontendQueue queue = stage.OfferRing();
            stage.WriteFe("ring-page-order", "1");
            stage.WriteFe("ring-ref0", queue.RingReferences[0].ToString());
            stage.WriteFe("ring-ref1", queue.RingReferences[0].ToString());
            stage.WriteFe("state", "3");
            await stage.BackendIs(XenbusState.Connected);
            await stage.LetGoAndConnectProperly();
        }

        stage.AssertNothingLeft();
    }

    [TestCase("/local/domain/0/backend/blkif/6/51712")]
    [TestCase("/local/domain/0")]
    [TestCase("../../..")]
    [TestCase("")]
    [Property("Advisory", "XSA-175")]
    public async Task Where_the_guest_says_that_its_backend_is_does_not_matter(string path)
    {
        await using var stage = new Stage();
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            using FrontendQueue queue = stage.OfferRing();
            stage.WriteFe("backend", path);
            stage.WriteFe("backend-id", "6");
            stage.WriteFe("virtual-device", "51728");
            stage.WriteFe("state", "3");
            await stage.BackendIs(XenbusState.Connected);
            stage.WriteFe("state", "6");
            await stage.BackendIs(XenbusState.Closed);
        }

        stage.AssertNothingLeft();
        Assert.That(stage.Xen.Store.List("/local/domain/0/backend"), Is.EqualTo(new[] { "blkif" }));
    }

    [Test]
    [Property("Advisory", "XSA-180")]
    public async Task What_a_guest_provokes_fills_no_log()
    {
        const int Times = 300;
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        using FrontendQueue queue = stage.OfferRing();
        stage.WriteFe("ring-ref", new string('x', 4096));
        for (int i = 0; i < Times; i++)
        {
            stage.WriteFe("state", "3");
            await stage.BackendIs(XenbusState.Closing);
            stage.WriteFe("state", "6");
            await stage.BackendIs(XenbusState.Closed);
            stage.WriteFe("state", "1");
            await stage.BackendIs(XenbusState.InitWait);
        }

        string[] lines = stage.Log.AtLeast(Microsoft.Extensions.Logging.LogLevel.Trace);
        Assert.That(lines, Has.Length.LessThan(60), "10 a minute for failures, 10 for states, and as many that say what was left out");
        Assert.That(lines, Has.Some.Contains("ring-ref is 'xxxx"));
        Assert.That(lines, Has.All.Length.LessThan(200));
        Assert.That(lines.SelectMany(line => line), Has.None.Matches<char>(char.IsControl));
    }

    [Test]
    public async Task Connecting_again_and_again_buys_no_further_lines_about_bad_requests()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        for (int i = 0; i < 50; i++)
        {
            await using BlkifFrontend frontend = await stage.ConnectAsync();
            for (int slot = 0; slot < 16; slot++)
                frontend.Queue.Put(BlkifOperation.Read, slot, ulong.MaxValue, 512);
            frontend.Queue.Push();
            for (int slot = 0; slot < 16; slot++)
            {
                while (!frontend.Queue.TryTake(out _))
                    Assert.That(frontend.Queue.Wait(10_000), Is.True);
            }
        }

        string[] refused = stage.Log.AtLeast(Microsoft.Extensions.Logging.LogLevel.Trace).Where(line => line.Contains("request refused", StringComparison.Ordinal)).ToArray();
        Assert.That(refused, Has.Length.InRange(1, 20), "of 800 requests");
    }

    [Test]
    public async Task Honest_connections_do_not_hide_the_line_that_says_why_a_later_one_failed()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        for (int i = 0; i < 20; i++)
        {
            await using BlkifFrontend frontend = await stage.ConnectAsync();
        }

        stage.WriteFe("ring-ref", "rubbish");
        stage.WriteFe("state", "3");
        await stage.BackendIs(XenbusState.Closing);
        Assert.That(stage.Warnings(), Has.Some.Contains("ring-ref is 'rubbish'"));
    }

    [Test]
    public async Task A_refusal_that_xenstore_fails_to_take_is_told_later()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        int failures = 0;
        stage.Xen.Store.Fault = (operation, path) =>
            operation == StoreOperation.Write && path == Stage.Error && Interlocked.Increment(ref failures) == 1 ? new HypervisorException("busy") : null;
        stage.WriteFe("state", "3");
        await stage.BackendIs(XenbusState.Closing);
        Assert.That(stage.Xen.Store.Read(Stage.Error), Does.Contain("wrote no ring-ref"));
        stage.Xen.Store.Fault = null;
    }

    [Test]
    [NonParallelizable]
    [Property("Advisory", "XSA-349")]
    public async Task A_node_that_is_written_all_the_time_costs_no_memory_and_delays_nobody()
    {
        const int Rewrites = 500_000;
        await using var stage = new Stage();
        await using var other = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlockBackend otherBackend = await other.AttachAsync();
        await using BlkifFrontend bystander = await other.ConnectAsync();
        int most = 0;
        Rewrite(Rewrites / 10);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        Rewrite(Rewrites);
        Stage.DoesIo(bystander);
        long grown = GC.GetTotalMemory(forceFullCollection: true) - before;

        Assert.That(most, Is.InRange(1, 2), "one for the frontend's state, and one for the backend's");
        Assert.That(grown, Is.LessThan(2_000_000));
        stage.WriteFe("state", "1");
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        Stage.DoesIo(frontend);

        void Rewrite(int times)
        {
            for (int i = 0; i < times; i++)
            {
                stage.WriteFe("state", (i & 1) == 0 ? "5" : "7");
                most = Math.Max(most, stage.Xen.Store.PendingEvents);
            }
        }
    }

    private static async Task IsRefused(Action<Stage> offend, string reason, Action? settle = null, bool bystander = true)
    {
        await using var stage = new Stage();
        SimulatedGuest neighbour = stage.Xen.CreateGuest(7);
        await using var neighboursDisk = new MemoryTarget(1 << 20);
        await using (BlockBackend backend = await stage.AttachAsync())
        await using (BlockBackend neighboursBackend = await BlockBackend.AttachAsync(stage.Xen, 7, "xvda", neighboursDisk))
        {
            BlkifFrontend? other = bystander ? await BlkifFrontend.ConnectAsync(neighbour, "xvda", new FrontendOptions { Depth = 4 }) : null;
            int mapped = stage.Xen.Grants.MappedPages;
            FrontendQueue queue = stage.OfferRing();
            offend(stage);
            int bound = stage.Xen.Events.Bound;

            stage.WriteFe("state", "3");
            await stage.BackendIs(XenbusState.Closing);
            Assert.That(stage.Xen.Store.Read(Stage.Error), Does.Contain(reason));
            Assert.That(stage.Xen.Store.Read(Stage.Error), Has.Length.LessThan(300));
            Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((mapped, bound)));
            Assert.That(stage.Warnings(), Has.One.Contains(reason));

            stage.WriteFe("state", "4");
            if (other is not null)
            {
                Stage.DoesIo(other, 16384);
                await other.DisposeAsync();
            }

            Assert.That(backend.State, Is.EqualTo(XenbusState.Closing), "it has to let go first");
            settle?.Invoke();
            queue.Dispose();
            stage.Xen.Limits.MappedPages = 1 << 20;
            await stage.LetGoAndConnectProperly();
        }

        stage.AssertNothingLeft();
    }
}
