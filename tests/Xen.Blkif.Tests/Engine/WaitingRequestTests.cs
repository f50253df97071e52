using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Memory;
using Xen.Blkif.Protocol;
using Xen.Blkif.Rings;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;
using Xen.Blkif.Tests.Testing;

namespace Xen.Blkif.Tests.Engine;

/// <summary>An indirect request that there is no room for is put back into the ring, and taken anew when another one is answered.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed unsafe class WaitingRequestTests
{
    private const int Most = 256;
    private const int DiskLength = 16 << 20;

    private static FrontendOptions Options => new() { Depth = 8, MaxIndirectSegments = Most };

    [Test]
    public void Of_requests_of_1_MiB_two_go_at_once_and_the_third_is_done_when_one_of_them_is()
    {
        var target = new ScriptedTarget(DiskLength);
        using var pair = new QueuePair(target, Options);
        for (int slot = 0; slot < 3; slot++)
            Put(pair, slot, Most);
        pair.Run();
        Assert.That(target.Pending, Has.Count.EqualTo(2));
        Assert.That((pair.Engine.HasWork, pair.Engine.PrepareToSleep()), Is.EqualTo((false, true)), "there is nothing it could do");

        target.Completions.Complete(target.Pending.Dequeue(), BlockStatus.Okay);
        Assert.That(pair.Engine.HasWork, Is.True);
        pair.Run();
        Assert.That((Ids(pair).Single(), target.Pending.Count), Is.EqualTo((0, 2)));
        target.CompleteAll();
        pair.Run();
        Assert.That(Ids(pair), Is.EquivalentTo(new ulong[] { 1, 2 }));
    }

    [Test]
    public void Of_requests_of_128_KiB_sixteen_go_at_once()
    {
        var target = new ScriptedTarget(DiskLength);
        using var pair = new QueuePair(target, new FrontendOptions { Depth = 17, MaxIndirectSegments = 32 });
        for (int slot = 0; slot < 17; slot++)
            Put(pair, slot, 32);
        pair.Run();
        Assert.That(target.Pending, Has.Count.EqualTo(16));
        target.CompleteAll();
        pair.Run();
        target.CompleteAll();
        pair.Run();
        Assert.That(Ids(pair), Is.EquivalentTo(Enumerable.Range(0, 17).Select(id => (ulong)id)));
    }

    [Test]
    public void Small_requests_go_on_while_all_memory_for_large_ones_is_in_use()
    {
        var target = new ScriptedTarget(DiskLength);
        using var pair = new QueuePair(target, Options);
        Put(pair, 0, Most);
        Put(pair, 1, Most);
        pair.Run();
        for (int round = 0; round < 3; round++)
        {
            Put(pair, 2, 11);
            Put(pair, 3, 1);
            pair.Run();
            Assert.That(target.Pending, Has.Count.EqualTo(4));
            int[] large = [target.Pending.Dequeue(), target.Pending.Dequeue()];
            target.CompleteAll();
            pair.Run();
            Assert.That(Ids(pair), Is.EquivalentTo(new ulong[] { 2, 3 }));
            foreach (int slot in large)
                target.Pending.Enqueue(slot);
        }

        target.CompleteAll();
        pair.Run();
    }

    [Test]
    [Property("Advisory", "XSA-155")]
    public void What_the_guest_makes_of_a_request_that_waits_is_checked_as_if_it_had_just_come([Values] bool sound)
    {
        var target = new ScriptedTarget(DiskLength);
        using var pair = new QueuePair(target, Options, maxIndirectRequests: 1);
        Put(pair, 0, 12);
        Put(pair, 1, 12);
        pair.Run();
        Assert.That(target.Pending, Has.Count.EqualTo(1));

        // In the ring's second slot: a plain read, or something that nobody knows.
        var ring = (X64Request*)(pair.Frontend.RingAddress + RingSize.HeaderLength);
        ring[1] = default;
        ring[1].Operation = (byte)(sound ? BlkifOperation.Read : (BlkifOperation)77);
        ring[1].SegmentCount = 1;
        ring[1].Id = 1;
        ring[1].SectorNumber = 24;
        ring[1].Segments[0] = new BlkifSegment(pair.Frontend.GrantOf(1, 0), 2, 3);
        target.CompleteAll();
        pair.Run();
        Assert.That(pair.Engine.Statistics.RefusedFor(Refusal.UnknownOperation), Is.EqualTo(sound ? 0 : 1));
        Assert.That(target.Calls.Last(), Is.EqualTo(sound ? $"Read {24 * 512}+1024" : "Write 0+49152"));
        target.CompleteAll();
        pair.Run();
        Assert.That(Ids(pair), Is.EqualTo(new ulong[] { 0, 1 }));
    }

    [Test]
    public void The_ring_can_be_gone_around_many_times_with_a_request_put_back_at_each_of_its_slots()
    {
        var target = new ScriptedTarget(DiskLength);
        using var pair = new QueuePair(target, Options, maxIndirectRequests: 1);
        for (int round = 0; round < 200; round++)
        {
            for (int slot = 0; slot < 3; slot++)
                Put(pair, slot, 12);
            for (ulong id = 0; id < 3; id++)
            {
                pair.Run();
                Assert.That((target.Pending.Count, pair.Engine.InFlight), Is.EqualTo((1, 1)));
                target.CompleteAll();
                pair.Run();
                Assert.That(Ids(pair), Is.EqualTo(new[] { id }));
            }
        }

        Assert.That(pair.Engine.IsCorrupt, Is.False);
    }

    [Test]
    public void A_draining_engine_leaves_in_the_ring_what_waits_there()
    {
        var target = new ScriptedTarget(DiskLength);
        using var pair = new QueuePair(target, Options, maxIndirectRequests: 1);
        Put(pair, 0, 12);
        Put(pair, 1, 12);
        pair.Run();
        pair.Engine.IsDraining = true;
        target.CompleteAll();
        pair.Run();
        Assert.That((Ids(pair).Single(), pair.Engine.InFlight), Is.EqualTo((0, 0)));
    }

    [Test]
    public void The_journal_hears_of_a_request_that_waits_when_it_is_taken_for_good()
    {
        using var memory = new NativeBuffer(RingJournal.Length);
        var journal = new RingJournal((nint)memory.Start);
        var target = new ScriptedTarget(DiskLength);
        using var pair = new QueuePair(target, Options, maxIndirectRequests: 1, configure: settings => settings with { Journal = journal });
        Put(pair, 0, 12);
        Put(pair, 1, 12);
        pair.Run();
        Assert.That(Noted(journal), Is.EqualTo(new ulong[] { 0 }));
        target.CompleteAll();
        pair.Run();
        Assert.That(Noted(journal), Is.EqualTo(new ulong[] { 1 }));
        target.CompleteAll();
        pair.Run();
        Assert.That(Noted(journal), Is.Empty);
    }

    [Test]
    public void What_a_predecessor_left_is_begun_at_once_though_there_is_not_so_much_room()
    {
        using var memory = new NativeBuffer(RingJournal.Length);
        EngineSettings? settings = null;
        var budget = new MemoryBudget(0);
        var first = new ScriptedTarget(DiskLength);
        using var pair = new QueuePair(first, Options, configure: given => settings = given with
        {
            Journal = new RingJournal((nint)memory.Start),
            GuestMemory = GuestMemoryAccess.Map,
        });
        for (int slot = 0; slot < 5; slot++)
            Put(pair, slot, Most);
        pair.Run();
        Assert.That(first.Pending, Has.Count.EqualTo(5), "mapped, they need no memory");

        var second = new ScriptedTarget(DiskLength);
        using var successor = RequestEngine.Create(settings! with
        {
            Target = second, GuestMemory = GuestMemoryAccess.Copy, MemoryBudget = budget, MaxIndirectRequests = 2,
        });
        Put(pair, 5, 12);
        pair.Frontend.Push();
        successor.RunPass();
        Assert.That((second.Pending.Count, budget.Used), Is.EqualTo((5, 5 << 20)));
        Assert.That(successor.PrepareToSleep(), Is.True, "the new one waits");
        second.CompleteAll();
        while (successor.RunPass())
            second.CompleteAll();
        Assert.That(Ids(pair), Is.EquivalentTo(new ulong[] { 0, 1, 2, 3, 4, 5 }));

        // The dead one's pages go.
        first.CompleteAll();
        pair.Engine.RunPass();
    }

    [Test]
    public void Requests_whose_pages_stay_mapped_go_in_one_pass_though_the_copies_of_their_data_had_no_room([Values] bool reused)
    {
        var target = new ScriptedTarget(DiskLength);
        using var pair = new QueuePair(target, Options, configure: settings => settings with { GuestMemory = GuestMemoryAccess.Persistent });
        for (int round = 0; round < (reused ? 3 : 1); round++)
        {
            for (int slot = 0; slot < 8; slot++)
                Put(pair, slot, Most);
            pair.Frontend.Push();
            pair.Engine.RunPass();
            Assert.That(target.Pending, Has.Count.EqualTo(8));
            target.CompleteAll();
            pair.Run();
            Assert.That(Ids(pair), Has.Count.EqualTo(8));
        }
    }

    [Test]
    public void With_persistent_grants_requests_beyond_what_stays_mapped_go_by_two()
    {
        var target = new ScriptedTarget(DiskLength);
        using var pair = new QueuePair(target, Options, configure: settings => settings with
        {
            GuestMemory = GuestMemoryAccess.Persistent,
            MaxPersistentGrants = 11,
        });
        var done = new List<ulong>();
        for (int slot = 0; slot < 8; slot++)
            Put(pair, slot, Most);
        while (done.Count < 8)
        {
            pair.Run();
            Assert.That((target.Pending.Count, pair.Engine.PrepareToSleep()), Is.EqualTo((2, true)));
            target.CompleteAll();
            pair.Run();
            done.AddRange(Ids(pair));
        }

        Assert.That(done, Is.EquivalentTo(new ulong[] { 0, 1, 2, 3, 4, 5, 6, 7 }));
    }

    [Test]
    public void A_request_that_waits_allocates_nothing()
    {
        using var pair = new QueuePair(new MemoryTarget(DiskLength), Options, maxIndirectRequests: 1);
        BlkifSegment[] small = [.. Segments(pair, 0, 12).Select(segment => new BlkifSegment(segment.Reference, 3, 3))];
        long allocated = Allocations.Of(() =>
        {
            for (int slot = 0; slot < 3; slot++)
                pair.Frontend.PutIndirect(BlkifOperation.Read, slot, 0, small);
            pair.Run();
            while (pair.Frontend.TryTake(out _))
            {
                // Only the number of allocations matters.
            }
        });
        Assert.That(allocated, Is.Zero);
    }

    private static void Put(QueuePair pair, int slot, int segments)
    {
        if (segments > 11)
            pair.Frontend.PutIndirect(BlkifOperation.Write, slot, 0, Segments(pair, slot, segments));
        else
            pair.Frontend.Put(BlkifOperation.Write, (ulong)slot, 0, Segments(pair, slot, segments));
    }

    private static BlkifSegment[] Segments(QueuePair pair, int slot, int count) =>
        [.. Enumerable.Range(0, count).Select(page => new BlkifSegment(pair.Frontend.GrantOf(slot, page), 0, 7))];

    private static ulong[] Noted(RingJournal journal) => [.. journal.Settle(0, 32).Select(slot =>
    {
        journal.Read(slot, out X64Request request);
        return request.Id;
    })];

    private static List<ulong> Ids(QueuePair pair)
    {
        var ids = new List<ulong>();
        while (pair.Frontend.TryTake(out FrontendCompletion completion))
        {
            if (completion.Id < 8 && completion.Operation != (BlkifOperation)77)
                Assert.That(completion.Status, Is.EqualTo(BlkifStatus.Okay));
            ids.Add(completion.Id);
        }

        return ids;
    }
}
