using Xen.Blkif.IoUring.Kernel;
using Xen.Blkif.Targets;

namespace Xen.Blkif.IoUring.Tests.Queues;

/// <summary>Whatever a kernel says, each request is answered once, and none with what was not done.</summary>
internal sealed class HostileRingTests
{
    private static readonly BlockIoKind[] Kinds = [BlockIoKind.Read, BlockIoKind.Write, BlockIoKind.Flush, BlockIoKind.Discard];

    [Test]
    public void A_result_of_something_that_was_never_asked_changes_nothing(
        [Values(1u, 7u, 8u, 9u, 10u, 0xFFFFFFFFu)] uint index, [Values(0u, 1u, 0xFFFFFFFFu)] uint generation)
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        bench.Start(BlockIoKind.Read, 0);
        ring.Say(((ulong)generation << 32) | index, 4096);
        bench.Queue.Reap();
        Assert.That(bench.Answers, Is.Empty);
        Assert.That((bench.Channel.Events, bench.Channel.Wakes), Is.EqualTo((0, 0)));
        ring.SayLast(4096);
        bench.Queue.Reap();
        Assert.That(bench.Answers, Is.EqualTo(new[] { (0, BlockStatus.Okay) }));
    }

    [Test]
    public void A_result_that_comes_twice_answers_once_and_is_not_taken_for_that_of_the_next_request()
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        bench.Start(BlockIoKind.Read, 3);
        ulong name = ring.Taken[^1].Name;
        ring.Say(name, 4096);
        ring.Say(name, 4096);
        bench.Queue.Reap();
        bench.Start(BlockIoKind.Write, 3);
        ring.Say(name, 4096);
        bench.Queue.Reap();
        Assert.That(bench.Answers, Is.EqualTo(new[] { (3, BlockStatus.Okay) }), "the write is still under way");
        ring.SayLast(-5);
        bench.Queue.Reap();
        Assert.That(bench.Answers[^1], Is.EqualTo((3, BlockStatus.Error)));
    }

    [Test]
    public void More_than_was_asked_for_is_no_success([Values] bool afterAPart, [ValueSource(nameof(Kinds))] BlockIoKind kind, [Values(1, 4096, int.MaxValue)] int excess)
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        bench.Start(kind, 0);
        int left = kind is BlockIoKind.Read or BlockIoKind.Write ? 4096 : 0;
        if (afterAPart && left > 0)
        {
            ring.SayLast(512);
            bench.Queue.Reap();
            left -= 512;
        }

        ring.SayLast((int)Math.Min(int.MaxValue, (long)left + excess));
        bench.Queue.Reap();
        Assert.That(bench.Answers, Is.EqualTo(new[] { (0, BlockStatus.Error) }));
    }

    [Test]
    public void Nothing_transferred_is_a_failure_and_not_tried_for_ever([Values(BlockIoKind.Read, BlockIoKind.Write)] BlockIoKind kind, [Values] bool afterAPart)
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        bench.Start(kind, 0);
        if (afterAPart)
        {
            ring.SayLast(1024);
            bench.Queue.Reap();
        }

        ring.SayLast(0);
        bench.Queue.Reap();
        Assert.That(bench.Answers, Is.EqualTo(new[] { (0, BlockStatus.Error) }));
    }

    [Test]
    public void Every_error_is_answered_once([ValueSource(nameof(Kinds))] BlockIoKind kind)
    {
        foreach (int error in (int[])[.. Enumerable.Range(1, 133), 512, 4095])
        {
            int said = error;
            var ring = new FakeRing();
            ring.OnTaken = entry => ring.Say(entry.Name, -said);
            using var bench = new Bench(ring);
            bench.Start(kind, 5);
            for (int i = 0; i < 1000 && bench.Answers.Count == 0; i++)
                bench.Queue.Reap();
            bool isUnsupported = kind == BlockIoKind.Discard && error is 19 or 38 or 95;
            Assert.That(bench.Answers, Is.EqualTo(new[] { (5, isUnsupported ? BlockStatus.NotSupported : BlockStatus.Error) }), $"error {error}");
            Assert.That(ring.Taken, error is 4 or 11 ? Has.Count.InRange(2, 200) : Has.Count.EqualTo(1), $"error {error}");
        }
    }

    [Test]
    public void What_was_interrupted_or_came_at_a_bad_time_is_asked_for_again([ValueSource(nameof(Kinds))] BlockIoKind kind, [Values(4, 11)] int error)
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        bench.Start(kind, 0);
        ring.SayLast(-error);
        bench.Queue.Reap();
        Assert.That(bench.Answers, Is.Empty);
        ring.SayLast(kind is BlockIoKind.Read or BlockIoKind.Write ? 4096 : 0);
        bench.Queue.Reap();
        Assert.That(bench.Answers, Is.EqualTo(new[] { (0, BlockStatus.Okay) }));
        Assert.That(ring.Taken.Select(entry => (entry.Operation, entry.Offset, entry.Address, entry.Length)).Distinct().Count(), Is.EqualTo(1));
    }

    [Test]
    public void A_flush_that_failed_makes_every_later_one_fail()
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        bench.Start(BlockIoKind.Flush, 0);
        ring.SayLast(-5);
        bench.Queue.Reap();
        Assert.That(bench.Start(BlockIoKind.Flush, 1), Is.EqualTo(BlockStatus.Error), "the system has forgotten what it lost");
        Assert.That(ring.Taken, Has.Count.EqualTo(1));
    }

    [Test]
    public void A_flush_is_not_done_where_another_that_was_under_way_has_failed()
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        bench.Start(BlockIoKind.Flush, 0);
        bench.Start(BlockIoKind.Flush, 1);
        ring.Say(ring.Taken[0].Name, -5);
        ring.Say(ring.Taken[1].Name, 0);
        bench.Queue.Reap();
        Assert.That(bench.Answers, Is.EquivalentTo(new[] { (0, BlockStatus.Error), (1, BlockStatus.Error) }), "the system tells of lost writes once");
    }

    [Test]
    public void A_poll_without_an_event_takes_none_and_is_asked_for_again()
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        ring.OnWait = () => ring.Say(ring.Taken.First(entry => entry.Name != 0).Name, 0);
        bench.Queue.Wait(0);
        bench.Queue.Reap();
        Assert.That((bench.Channel.Events, bench.Channel.Wakes), Is.EqualTo((0, 0)), "to take what is not there would block");
        int asked = ring.Taken.Count;
        bench.Queue.Wait(0);
        Assert.That(ring.Taken, Has.Count.EqualTo(asked + 1));
    }

    [Test]
    public void A_secure_discard_of_a_file_is_not_taken_for_a_plain_one()
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        Assert.That(bench.Start(BlockIoKind.SecureDiscard, 0), Is.EqualTo(BlockStatus.NotSupported));
        Assert.That(ring.Taken, Is.Empty);
    }

    [Test]
    public void Results_that_the_kernel_holds_back_are_asked_for()
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        bench.Start(BlockIoKind.Read, 0);
        ring.Held.Add(new CompletionEntry(ring.Taken[^1].Name, 4096, 0));
        bench.Queue.Reap();
        Assert.That(bench.Answers, Is.EqualTo(new[] { (0, BlockStatus.Okay) }));
    }

    [Test]
    public void Lies_of_all_kinds_among_the_truth_answer_each_request_once()
    {
        const int Requests = 20_000;
        int seed = Random.Shared.Next();
        var random = new Random(seed);
        var latest = new Dictionary<uint, ulong>();
        var ring = new FakeRing();
        ring.OnTaken = entry => latest[(uint)entry.Name] = entry.Name;
        using var bench = new Bench(ring);
        var free = new Stack<int>(Enumerable.Range(0, Bench.Depth));
        int started = 0;
        for (int step = 0; bench.Answers.Count < Requests; step++)
        {
            if (step > 100 * Requests)
                Assert.Fail($"seed {seed}: {bench.Answers.Count} answers to {started} requests");
            int before = bench.Answers.Count;
            if (free.Count > 0 && started < Requests)
            {
                started++;
                bench.Start(Kinds[random.Next(2)], free.Pop(), 0, 4096, 4096);
            }
            else if (ring.Taken.Count > 0)
            {
                ulong name = random.Next(4) switch
                {
                    0 => (ulong)random.NextInt64(),
                    1 => ring.Taken[random.Next(Math.Max(0, ring.Taken.Count - 100), ring.Taken.Count)].Name,
                    _ => latest.Values.ElementAt(random.Next(latest.Count)),
                };
                ring.Say(name, random.Next(6) switch { 0 => 8192, 1 => random.Next(8192), 2 => -random.Next(134), 3 => random.Next(), _ => 8192 });
                bench.Queue.Reap();
            }

            for (int i = before; i < bench.Answers.Count; i++)
                free.Push(bench.Answers[i].Slot);
            Assert.That(ring.Pending, Is.LessThanOrEqualTo(Bench.Depth + 2));
        }

        Assert.That(started, Is.EqualTo(Requests));
    }
}
