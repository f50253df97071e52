using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;
using Xen.Blkif.Tests.Backend;

namespace Xen.Blkif.Tests.Engine;

/// <summary>Which pages of a guest stay mapped, and for how long.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class PersistentGrantTests
{
    private const int RingPages = 1;

    private static readonly FrontendOptions Options = new() { Depth = 32, MaxIndirectSegments = 0 };

    private long _now = 1000;

    [Test]
    [Property("Advisory", "XSA-300")]
    public void No_more_pages_stay_than_are_allowed_and_all_requests_are_served([Values(0, 1, 4)] int most)
    {
        using QueuePair pair = Pair(most);
        for (int slot = 0; slot < 32; slot++)
        {
            Use(pair, slot, pages: 3);
            Assert.That(pair.Xen.Grants.MappedPages, Is.InRange(RingPages, RingPages + most));
        }
    }

    [Test]
    public void Where_there_was_no_room_the_pages_that_were_used_the_longest_time_ago_make_some()
    {
        using QueuePair pair = Pair(20);
        for (int slot = 0; slot < 20; slot++)
            Use(pair, slot);
        Use(pair, 0);
        Use(pair, 20);
        Assert.That(Mapped(pair), Is.EquivalentTo(Enumerable.Range(0, 20).Except([1])), "5 % have gone, not those that were used since");
        Use(pair, 21);
        Assert.That(Mapped(pair), Is.EquivalentTo(Enumerable.Range(0, 20).Except([1]).Append(21)));
    }

    [Test]
    public void Pages_are_not_exchanged_all_the_time()
    {
        using QueuePair pair = Pair(20);
        for (int slot = 0; slot < 21; slot++)
            Use(pair, slot);
        Use(pair, 21);
        long maps = pair.Xen.Grants.Maps;
        for (int slot = 22; slot < 32; slot++)
            Use(pair, slot);
        Assert.That(pair.Xen.Grants.Maps, Is.EqualTo(maps), "there is no room, and there was some made a moment ago");

        Pass(TimeSpan.FromMilliseconds(100));
        pair.Run();
        Use(pair, 22);
        Assert.That(pair.Xen.Grants.Maps, Is.EqualTo(maps + 1));
    }

    [Test]
    public void A_page_that_is_not_used_for_a_minute_goes()
    {
        using QueuePair pair = Pair(100);
        Use(pair, 0);
        Pass(TimeSpan.FromSeconds(30));
        Use(pair, 1);
        Pass(TimeSpan.FromSeconds(29.9));
        pair.Run();
        Assert.That(Mapped(pair), Is.EquivalentTo(new[] { 0, 1 }));
        Pass(TimeSpan.FromSeconds(0.2));
        pair.Run();
        Assert.That(Mapped(pair), Is.EquivalentTo(new[] { 1 }));
        Pass(TimeSpan.FromSeconds(30));
        pair.Run();
        Assert.That(Mapped(pair), Is.Empty);
        Use(pair, 0);
        Assert.That(Mapped(pair), Is.EquivalentTo(new[] { 0 }), "and comes back when it is used again");
    }

    [Test]
    public void A_guest_that_stops_using_the_same_pages_gets_them_back_within_a_minute()
    {
        using QueuePair pair = Pair(100);
        Use(pair, 0, pages: 5);
        Assert.That(() => pair.Frontend.GrantAnew(0, 5), Throws.InvalidOperationException);
        Pass(TimeSpan.FromSeconds(60));
        pair.Run();
        pair.Frontend.GrantAnew(0, 5);
        Use(pair, 0, pages: 5);
    }

    [Test]
    public void A_page_that_a_request_uses_stays_however_long_that_takes()
    {
        var target = new ScriptedTarget();
        using QueuePair pair = Pair(2, target);
        pair.Frontend.Put(BlkifOperation.Read, 0, 0, 8192);
        pair.Frontend.Put(BlkifOperation.Read, 1, 0, 8192);
        pair.Run();
        Pass(TimeSpan.FromHours(1));
        pair.Run();
        Assert.That(pair.Xen.Grants.MappedPages, Is.EqualTo(RingPages + 2));
        Assert.That(pair.Engine.MaxSleepMilliseconds, Is.EqualTo(Timeout.Infinite), "nothing can go by itself");
        target.CompleteAll();
        pair.Run();
        Pass(TimeSpan.FromSeconds(59));
        pair.Run();
        Assert.That(pair.Xen.Grants.MappedPages, Is.InRange(RingPages + 1, RingPages + 2), "one may have made room");
        Pass(TimeSpan.FromSeconds(1));
        pair.Run();
        Assert.That(pair.Xen.Grants.MappedPages, Is.EqualTo(RingPages));
    }

    [TestCase(2, 3, Description = "no room for the third")]
    [TestCase(20, 3, Description = "the third is no grant")]
    public void What_a_request_that_is_copied_in_the_end_held_meanwhile_goes_like_the_rest(int most, int pages)
    {
        using QueuePair pair = Pair(most);
        BlkifSegment[] segments = [.. Enumerable.Range(0, pages).Select(page => new BlkifSegment(pair.Frontend.GrantOf(0, page), 0, 7))];
        if (most > pages)
            segments[2] = new BlkifSegment(new GrantReference(0xFFFF_FFF0), 0, 7);
        pair.Frontend.Put(BlkifOperation.Write, 0, 0, segments);
        pair.Run();
        Assert.That(pair.Frontend.TryTake(out FrontendCompletion completion), Is.True);
        Assert.That(completion.Status, Is.EqualTo(most > pages ? BlkifStatus.Error : BlkifStatus.Okay));
        Pass(TimeSpan.FromSeconds(60));
        pair.Run();
        Assert.That(pair.Xen.Grants.MappedPages, Is.EqualTo(RingPages));
    }

    [Test]
    public void A_page_of_segments_goes_like_the_rest()
    {
        using var pair = new QueuePair(new MemoryTarget(1 << 20), new FrontendOptions { Depth = 1 }, configure: settings => settings with
        {
            GuestMemory = GuestMemoryAccess.Persistent, Clock = () => _now,
        });
        Use(pair, 0, pages: 12);
        Assert.That(pair.Xen.Grants.MappedPages, Is.EqualTo(RingPages + 13));
        Pass(TimeSpan.FromSeconds(60));
        pair.Run();
        Assert.That(pair.Xen.Grants.MappedPages, Is.EqualTo(RingPages));
    }

    [Test]
    public void The_queue_sleeps_until_a_page_has_to_go_and_no_shorter()
    {
        using QueuePair pair = Pair(20);
        Assert.That(pair.Engine.MaxSleepMilliseconds, Is.EqualTo(Timeout.Infinite));
        Use(pair, 0);
        Assert.That(pair.Engine.MaxSleepMilliseconds, Is.EqualTo(60_000));
        Pass(TimeSpan.FromSeconds(59.5));
        Assert.That(pair.Engine.MaxSleepMilliseconds, Is.EqualTo(500));
        Pass(TimeSpan.FromSeconds(1));
        Assert.That(pair.Engine.MaxSleepMilliseconds, Is.Zero);
        pair.Run();
        Assert.That(pair.Engine.MaxSleepMilliseconds, Is.EqualTo(Timeout.Infinite));
    }

    [Test]
    public void With_no_timeout_pages_stay()
    {
        using QueuePair pair = Pair(20, timeout: Timeout.InfiniteTimeSpan);
        Use(pair, 0);
        Pass(TimeSpan.FromDays(365));
        pair.Run();
        Assert.That(Mapped(pair), Is.EquivalentTo(new[] { 0 }));
        Assert.That(pair.Engine.MaxSleepMilliseconds, Is.EqualTo(Timeout.Infinite));
    }

    [Test]
    public void Where_the_host_lets_nothing_more_be_mapped_data_is_copied()
    {
        using QueuePair pair = Pair(100);
        pair.Xen.Limits.MappedPages = RingPages + 2;
        for (int slot = 0; slot < 8; slot++)
            Use(pair, slot);
        Assert.That(Mapped(pair), Is.EquivalentTo(new[] { 0, 1 }));
    }

    [Test]
    public void A_page_that_cannot_be_unmapped_is_told_and_harms_no_request()
    {
        var log = new LogLines();
        QueuePair pair = Pair(100, log: log);
        Use(pair, 0);
        pair.Xen.Grants.UnmapFault = (_, _) => GrantStatus.GeneralError;
        Pass(TimeSpan.FromSeconds(60));
        pair.Run();
        Assert.That(log.AtLeast(LogLevel.Error).Single(), Does.Contain("1 pages of the guest cannot be unmapped"));
        pair.Xen.Grants.UnmapFault = null;
        Use(pair, 0);
        Assert.That(pair.Xen.Grants.MappedPages, Is.EqualTo(RingPages + 2), "mapped again, beside the one that stayed");
        Assert.That(pair.Engine.Dispose, Throws.Nothing);
        Assert.That(pair.Xen.Grants.MappedPages, Is.EqualTo(RingPages + 1));
        pair.Xen.Dispose();
    }

    [Test]
    public void The_table_does_what_a_dictionary_would([Range(1, 5)] int seed)
    {
        var random = new Random(seed);
        var host = new CountingGrants();
        var log = new EngineLog(new LogLines().CreateLogger("engine"), "vbd");
        int capacity = random.Next(1, 40);
        using (var table = new PersistentGrants(new PageMapper(host, 5, log), capacity, new MemoryBudget(long.MaxValue), timeout: 1000, _now))
        {
            var held = new List<GrantReference>();
            for (int step = 0; step < 20_000; step++)
            {
                // Neighbours, and references that fall into the same bucket.
                var reference = new GrantReference((uint)random.Next(60) * (random.Next(2) == 0 ? 1u : 0x0400_0000u));
                switch (random.Next(4))
                {
                    case 0 when held.Count > 0:
                        int index = random.Next(held.Count);
                        table.Release(held[index], _now);
                        held.RemoveAt(index);
                        break;
                    case 1:
                        _now += random.Next(300);
                        table.Tidy(_now);
                        break;
                    default:
                        bool known = host.Mapped.ContainsValue(reference);
                        nint address = table.TryHold(reference);
                        Assert.That(address != 0, Is.EqualTo(known || host.Mapped.ContainsValue(reference)));
                        if (address != 0)
                            held.Add(reference);
                        if (address != 0)
                            Assert.That(host.Mapped[address], Is.EqualTo(reference));
                        else
                            Assert.That(table.Count, Is.EqualTo(capacity));
                        break;
                }

                Assert.That(table.Count, Is.EqualTo(host.Mapped.Count).And.AtMost(capacity));
                Assert.That(held.Distinct().All(host.Mapped.Values.Contains), Is.True, "what is held is mapped");
            }
        }

        Assert.That(host.Mapped, Is.Empty);
    }

    private QueuePair Pair(int most, IBlockTarget? target = null, TimeSpan? timeout = null, LogLines? log = null) => new(
        target ?? new MemoryTarget(1 << 20),
        Options,
        logger: log?.CreateLogger("engine"),
        configure: settings => settings with
        {
            GuestMemory = GuestMemoryAccess.Persistent,
            MaxPersistentGrants = most,
            PersistentGrantTimeout = timeout ?? settings.PersistentGrantTimeout,
            Clock = () => _now,
        });

    private void Pass(TimeSpan time) => _now += (long)(time.TotalSeconds * Stopwatch.Frequency);

    private static void Use(QueuePair pair, int slot, int pages = 1)
    {
        pair.Frontend.Put(BlkifOperation.Write, slot, 0, pages * 4096);
        pair.Run();
        Assert.That(pair.Frontend.TryTake(out FrontendCompletion completion), Is.True);
        Assert.That(completion, Is.EqualTo(new FrontendCompletion((ulong)slot, BlkifOperation.Write, BlkifStatus.Okay)));
    }

    // The slots whose first page is mapped: the guest cannot have it back.
    private static IEnumerable<int> Mapped(QueuePair pair) => Enumerable.Range(0, Options.Depth).Where(slot =>
    {
        try
        {
            pair.Frontend.GrantAnew(slot, 1);
            return false;
        }
        catch (InvalidOperationException)
        {
            return true;
        }
    });

    private sealed class CountingGrants : IGrantTable
    {
        private nint _next = 4096;

        public Dictionary<nint, GrantReference> Mapped { get; } = [];

        public nint TryMap(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable)
        {
            Mapped.Add(_next, references[0]);
            return (_next += 4096) - 4096;
        }

        public bool TryUnmap(nint address, int pages) => pages == 1 && Mapped.Remove(address);

        public IGrantMapping Map(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable) => throw new NotSupportedException();

        public IGrantMapping MapRing(DomainId domain, ReadOnlySpan<GrantReference> references, IEventChannel channel) => throw new NotSupportedException();

        public bool Copy(Span<GrantCopySegment> segments) => throw new NotSupportedException();
    }
}
