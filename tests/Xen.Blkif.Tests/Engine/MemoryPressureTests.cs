using System.Diagnostics;
using System.Runtime.InteropServices;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Memory;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;
using Xen.Blkif.Tests.Testing;

namespace Xen.Blkif.Tests.Engine;

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class MemoryPressureTests
{
    private const int Depth = 8;
    private const int LargeLength = 1 << 20;
    private const int PieceLength = 128 << 10;
    private const int DiskLength = Depth * LargeLength;

    // Of 1 MiB each, of which a queue copies the data of no more at once.
    private const int MostLarge = 2;
    private const int MostPieces = MostLarge * LargeLength / PieceLength;

    private readonly List<NativeBuffer> _buffers = [];
    private long _now = Stopwatch.Frequency;

    private static FrontendOptions Options => new() { Depth = Depth, MaxIndirectSegments = 256 };

    private IEnumerable<NativeBuffer> Pieces => _buffers.Where(buffer => !buffer.IsClosed && buffer.Length == PieceLength);

    private NativeBuffer Small => _buffers[0];

    [Test]
    public void A_queue_that_is_idle_gives_the_memory_of_its_requests_back_within_two_seconds()
    {
        using QueuePair pair = Pair(new MemoryTarget(DiskLength));
        Assert.That(pair.Engine.MaxSleepMilliseconds, Is.EqualTo(Timeout.Infinite));
        UseAll(pair);
        Assert.That(Pieces.Count(), Is.EqualTo(MostPieces));
        Assert.That(pair.Engine.MaxSleepMilliseconds, Is.EqualTo(1000));

        Pass(TimeSpan.FromSeconds(0.9));
        pair.Run();
        Assert.That(Pieces.Count(), Is.EqualTo(MostPieces), "not yet");
        Assert.That(IsZero(Small), Is.False);

        Pass(TimeSpan.FromSeconds(0.1));
        pair.Run();
        Pass(TimeSpan.FromSeconds(1));
        pair.Run();
        Assert.That(Pieces, Is.Empty);
        if (RuntimeInformation.IsOSPlatform(OSPlatform.Linux))
            Assert.That(IsZero(Small), Is.True, "its pages went, and new ones are zero");
        Assert.That(pair.Engine.MaxSleepMilliseconds, Is.EqualTo(Timeout.Infinite), "then it sleeps");
        UseAll(pair);
    }

    [Test]
    public void As_many_pages_as_are_set_stay()
    {
        using QueuePair pair = Pair(new MemoryTarget(DiskLength), maxBufferPages: 512);
        UseAll(pair);
        for (int second = 0; second < 10; second++)
        {
            Pass(TimeSpan.FromSeconds(1));
            pair.Run();
        }

        // 352 pages of a ring with 32 slots, and 32 in each piece for the data of large requests.
        Assert.That(Pieces.Count(), Is.EqualTo(5));
        Assert.That(IsZero(Small), Is.False);
        Assert.That(pair.Engine.MaxSleepMilliseconds, Is.EqualTo(Timeout.Infinite));
    }

    [Test]
    public void Memory_of_a_request_that_takes_for_ever_stays_with_it([Values] bool large)
    {
        var target = new ScriptedTarget(DiskLength);
        using QueuePair pair = Pair(target);
        pair.Frontend.Buffer(0).Fill(0x77);
        Put(pair, BlkifOperation.Write, 0, large ? 256 : 11);
        pair.Run();
        for (int minute = 0; minute < 10; minute++)
        {
            Pass(TimeSpan.FromMinutes(1));
            pair.Run();
        }

        NativeBuffer[] held = large ? [.. Pieces] : [Small];
        Assert.That(held, Has.Length.EqualTo(large ? MostPieces / MostLarge : 1));
        foreach (NativeBuffer buffer in held)
            Assert.That(buffer.Slice(0, 4096).IndexOfAnyExcept((byte)0x77), Is.EqualTo(-1));
        target.CompleteAll();
        pair.Run();
        Assert.That(Statuses(pair), Is.EqualTo(new[] { BlkifStatus.Okay }));
    }

    [Test]
    public void A_device_that_hoards_leaves_its_neighbours_what_each_needs_to_go_on()
    {
        var budget = new MemoryBudget(MostLarge * LargeLength);
        var slow = new ScriptedTarget(DiskLength);
        using QueuePair hoarder = Pair(slow, budget);
        using QueuePair first = Pair(new MemoryTarget(DiskLength), budget);
        using QueuePair neighbour = Pair(new MemoryTarget(DiskLength), budget);
        for (int slot = 0; slot < Depth; slot++)
            Put(hoarder, BlkifOperation.Write, slot, 256);
        hoarder.Run();
        Assert.That((slow.Pending.Count, budget.Used), Is.EqualTo((MostLarge, budget.Limit)), "the others wait in the ring");
        Assert.That(hoarder.Engine.PrepareToSleep(), Is.True, "there is nothing it could do");

        UseAll(first);
        UseAll(neighbour);
        Assert.That(budget.Used, Is.EqualTo(budget.Limit + (2 * LargeLength)), "one request more for each");
        Assert.That(slow.Pending, Has.Count.EqualTo(MostLarge));

        var done = new List<BlkifStatus>();
        for (int round = 0; round < Depth / MostLarge; round++)
        {
            slow.CompleteAll();
            hoarder.Run();
            done.AddRange(Statuses(hoarder));
        }

        Assert.That(done, Is.EqualTo(Enumerable.Repeat(BlkifStatus.Okay, Depth)));
        for (int second = 0; second < 2; second++)
        {
            Pass(TimeSpan.FromSeconds(1));
            foreach (QueuePair pair in new[] { hoarder, first, neighbour })
                pair.Run();
        }

        Assert.That(budget.Used, Is.Zero);
    }

    [Test]
    public void A_request_that_another_device_has_the_memory_of_waits_for_an_answer_of_its_own_queue_and_then_finds_what_was_given_back()
    {
        var budget = new MemoryBudget(LargeLength);
        var slow = new ScriptedTarget(DiskLength);
        using QueuePair hoarder = Pair(new MemoryTarget(DiskLength), budget);
        using QueuePair pair = Pair(slow, budget);
        Put(hoarder, BlkifOperation.Write, 0, 256);
        hoarder.Run();
        Put(pair, BlkifOperation.Write, 0, 32);
        Put(pair, BlkifOperation.Write, 1, 11);
        Put(pair, BlkifOperation.Write, 2, 256);
        pair.Run();
        Assert.That(slow.Pending, Has.Count.EqualTo(2), "the first is never refused, and small ones need nothing");
        Assert.That((pair.Engine.HasWork, pair.Engine.PrepareToSleep()), Is.EqualTo((false, true)));

        Pass(TimeSpan.FromSeconds(1));
        hoarder.Run();
        Pass(TimeSpan.FromSeconds(1));
        hoarder.Run();
        Assert.That(budget.Used, Is.EqualTo(PieceLength), "the hoarder has given back what it had");
        int first = slow.Pending.Dequeue();
        slow.CompleteAll();
        slow.Pending.Enqueue(first);
        pair.Run();
        Assert.That((slow.Pending.Count, budget.Used), Is.EqualTo((1, PieceLength)), "8 pieces beside one are too many yet");
        slow.CompleteAll();
        pair.Run();
        Assert.That((slow.Pending.Count, budget.Used), Is.EqualTo((1, LargeLength)));
        slow.CompleteAll();
        pair.Run();
        Assert.That(Statuses(pair), Is.EqualTo(Enumerable.Repeat(BlkifStatus.Okay, 3)));
    }

    [Test]
    public void Whatever_a_guest_asks_for_a_queue_of_a_ring_of_one_page_has_less_than_4_MiB()
    {
        using QueuePair pair = Pair(new ScriptedTarget(DiskLength) { Answer = _ => BlockStatus.Okay });
        foreach (int segments in new[] { 11, 12, 32, 33, 64, 255, 256 })
        {
            for (int round = 0; round < 4; round++)
                Transfer(pair, BlkifOperation.Write, segments);
        }

        Assert.That(Pieces.Count(), Is.EqualTo(MostPieces));
        Assert.That(_buffers.Where(buffer => !buffer.IsClosed).Sum(buffer => buffer.Length), Is.LessThan(3640 << 10), "the engine has less than 400 KiB besides");
    }

    [Test]
    public void With_nothing_but_the_minimum_requests_of_every_size_are_served([Values] GuestMemoryAccess access, [Values(0, 1 << 20)] int limit)
    {
        var budget = new MemoryBudget(limit);
        using QueuePair pair = Pair(new MemoryTarget(DiskLength), budget, access: access);
        for (int round = 0; round < 20; round++)
        {
            UseAll(pair);
            Assert.That(budget.Used, Is.AtMost(limit + LargeLength));
        }
    }

    [Test]
    [Property("Advisory", "XSA-300")]
    public void Mapped_pages_are_taken_from_the_budget_and_what_it_has_no_room_for_is_copied()
    {
        var budget = new MemoryBudget(11 * 4096);
        using QueuePair hoarder = Pair(new MemoryTarget(DiskLength), budget, access: GuestMemoryAccess.Persistent);
        using QueuePair neighbour = Pair(new MemoryTarget(DiskLength), budget, access: GuestMemoryAccess.Persistent);
        UseSmall(hoarder);
        Assert.That((hoarder.Xen.Grants.MappedPages, budget.Used), Is.EqualTo((1 + 11, budget.Limit)), "one page is the ring");
        UseSmall(neighbour);
        Assert.That(neighbour.Xen.Grants.MappedPages, Is.EqualTo(1));

        Pass(TimeSpan.FromSeconds(60));
        hoarder.Run();
        Assert.That(budget.Used, Is.Zero);
        UseSmall(neighbour);
        Assert.That((neighbour.Xen.Grants.MappedPages, budget.Used), Is.EqualTo((1 + 11, budget.Limit)));
    }

    [Test]
    public void A_queue_that_ends_gives_all_of_it_back([Values] GuestMemoryAccess access)
    {
        var budget = new MemoryBudget(1 << 30);
        QueuePair pair = Pair(new MemoryTarget(DiskLength), budget, access: access);
        UseAll(pair);
        Assert.That(budget.Used, access == GuestMemoryAccess.Map ? Is.Zero : Is.Positive);
        pair.Dispose();
        Assert.That(budget.Used, Is.Zero);
    }

    [Test]
    public void What_is_mapped_needs_no_memory_for_its_data([Values(GuestMemoryAccess.Map, GuestMemoryAccess.Persistent)] GuestMemoryAccess access)
    {
        using QueuePair pair = Pair(new MemoryTarget(DiskLength), access: access, persistent: 4096);
        UseAll(pair);
        Assert.That(Pieces, Is.Empty);
    }

    [Test]
    public void In_the_long_run_nothing_is_allocated_whatever_the_budget_is([Values(0, 3 << 20, 1 << 30)] int limit, [Values] GuestMemoryAccess access)
    {
        using QueuePair pair = Pair(new MemoryTarget(DiskLength), new MemoryBudget(limit), access: access);
        UseAll(pair);
        UseOften();
        int made = _buffers.Count;
        long allocated = Allocations.Of(UseOften);
        Assert.That(allocated, Is.Zero);
        Assert.That(_buffers, Has.Count.EqualTo(made), "nor is a buffer made anew");

        void UseOften()
        {
            for (int slot = 0; slot < 3; slot++)
                pair.Frontend.PutIndirect(BlkifOperation.Read, (ulong)slot, 0, 12, pair.Frontend.SegmentGrantOf(slot));
            pair.Run();
            while (pair.Frontend.TryTake(out _))
            {
            }

            // Not idle, though time goes by.
            _now += Stopwatch.Frequency / 5;
        }
    }

    private QueuePair Pair(
        IBlockTarget target, MemoryBudget? budget = null, GuestMemoryAccess access = GuestMemoryAccess.Copy, int maxBufferPages = 0, int persistent = 1056) =>
        new(target, Options, configure: settings => settings with
        {
            GuestMemory = access,
            MaxPersistentGrants = persistent,
            MaxBufferPages = maxBufferPages,
            MemoryBudget = budget ?? new MemoryBudget(long.MaxValue),
            Clock = () => _now,
            MakeBuffer = length =>
            {
                _buffers.Add(new NativeBuffer(length));
                return _buffers[^1];
            },
        });

    private void Pass(TimeSpan time) => _now += (long)(time.TotalSeconds * Stopwatch.Frequency);

    private static bool IsZero(NativeBuffer buffer) => buffer.Slice(0, (int)buffer.Length).IndexOfAnyExcept((byte)0) < 0;

    // The data of each request is told apart from that of all others, and read back.
    private static void UseAll(QueuePair pair)
    {
        foreach (int segments in new[] { 11, 256 })
        {
            for (int slot = 0; slot < Depth; slot++)
                pair.Frontend.Buffer(slot).Fill((byte)(slot + 1 + segments));
            Transfer(pair, BlkifOperation.Write, segments);
            for (int slot = 0; slot < Depth; slot++)
                pair.Frontend.Buffer(slot).Clear();
            Transfer(pair, BlkifOperation.Read, segments);
            for (int slot = 0; slot < Depth; slot++)
                Assert.That(pair.Frontend.Buffer(slot)[..(segments * 4096)].IndexOfAnyExcept((byte)(slot + 1 + segments)), Is.EqualTo(-1), $"request {slot}");
        }
    }

    private static void UseSmall(QueuePair pair)
    {
        Put(pair, BlkifOperation.Write, 0, 11);
        pair.Run();
        Assert.That(Statuses(pair), Is.EqualTo(new[] { BlkifStatus.Okay }));
    }

    private static void Transfer(QueuePair pair, BlkifOperation operation, int segments)
    {
        for (int slot = 0; slot < Depth; slot++)
            Put(pair, operation, slot, segments);
        pair.Run();
        Assert.That(Statuses(pair), Is.EqualTo(Enumerable.Repeat(BlkifStatus.Okay, Depth)));
    }

    private static void Put(QueuePair pair, BlkifOperation operation, int slot, int segments)
    {
        ulong sector = (ulong)slot * (LargeLength / 512);
        BlkifSegment[] pages = [.. Enumerable.Range(0, segments).Select(page => new BlkifSegment(pair.Frontend.GrantOf(slot, page), 0, 7))];
        if (segments > 11)
            pair.Frontend.PutIndirect(operation, slot, sector, pages);
        else
            pair.Frontend.Put(operation, (ulong)slot, sector, pages);
    }

    private static List<BlkifStatus> Statuses(QueuePair pair)
    {
        var statuses = new List<BlkifStatus>();
        while (pair.Frontend.TryTake(out FrontendCompletion completion))
            statuses.Add(completion.Status);
        return statuses;
    }
}
