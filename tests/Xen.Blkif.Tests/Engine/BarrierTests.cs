using System.Globalization;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Engine;

[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class BarrierTests
{
    [Test]
    public void A_barrier_flushes_writes_flushes_and_only_then_is_the_next_request_started()
    {
        var target = new ScriptedTarget();
        using QueuePair pair = Pair(target);
        pair.Frontend.Put(BlkifOperation.Write, 0, 0, 512);
        pair.Frontend.Put(BlkifOperation.WriteBarrier, 1, 8, 512);
        pair.Frontend.Put(BlkifOperation.Write, 2, 16, 512);
        string[] expected = ["Write 0+512", "Flush", "Write 4096+512", "Flush", "Write 8192+512"];
        for (int step = 1; step <= expected.Length; step++)
        {
            pair.Run();
            Assert.That(target.Calls, Is.EqualTo(expected[..step]));
            target.CompleteAll();
        }

        pair.Run();
        Assert.That(Responses(pair).Select(response => response.Status), Is.EqualTo(new[] { BlkifStatus.Okay, BlkifStatus.Okay, BlkifStatus.Okay }));
    }

    [Test]
    public void A_barrier_without_data_drains_and_flushes()
    {
        var target = new ScriptedTarget();
        using QueuePair pair = Pair(target);
        pair.Frontend.Put(BlkifOperation.Read, 0, 0, 512);
        pair.Frontend.Put(BlkifOperation.WriteBarrier, 1, 0, 0);
        pair.Run();
        Assert.That(target.Calls, Is.EqualTo(new[] { "Read 0+512" }));
        target.CompleteAll();
        pair.Run();
        Assert.That(target.Calls, Is.EqualTo(new[] { "Read 0+512", "Flush" }));
        target.CompleteAll();
        pair.Run();
        Assert.That(Responses(pair), Has.Member(new FrontendCompletion(1, BlkifOperation.WriteBarrier, BlkifStatus.Okay)));
    }

    [TestCase("Flush", 1)]
    [TestCase("Write", 2)]
    [TestCase("Flush", 3)]
    public void A_barrier_that_fails_at_any_step_ends_there_and_lets_the_next_request_pass(string failing, int step)
    {
        int calls = 0;
        var target = new ScriptedTarget { Answer = _ => ++calls == step ? BlockStatus.Error : BlockStatus.Okay };
        using QueuePair pair = Pair(target);
        pair.Frontend.Put(BlkifOperation.WriteBarrier, 0, 8, 512);
        pair.Frontend.Put(BlkifOperation.Write, 1, 16, 512);
        pair.Run();
        Assert.That(target.Calls[step - 1], Does.StartWith(failing));
        Assert.That(target.Calls, Has.Count.EqualTo(step + 1));
        Assert.That(Responses(pair).Select(response => response.Status), Is.EqualTo(new[] { BlkifStatus.Error, BlkifStatus.Okay }));
    }

    [Test]
    public void A_barrier_whose_data_cannot_be_fetched_fails_and_holds_nothing_up()
    {
        var target = new ScriptedTarget { Answer = _ => BlockStatus.Okay };
        using QueuePair pair = Pair(target);
        pair.Frontend.Put(BlkifOperation.WriteBarrier, 0, 0, [new BlkifSegment(new GrantReference(0xFFFF_FFF0), 0, 7)]);
        pair.Frontend.Put(BlkifOperation.Write, 1, 0, 512);
        pair.Run();
        Assert.That(Responses(pair).Select(response => response.Status), Is.EqualTo(new[] { BlkifStatus.Error, BlkifStatus.Okay }));
        Assert.That(target.Calls, Is.EqualTo(new[] { "Write 0+512" }));
    }

    [Test]
    public void A_barrier_that_is_not_offered_is_not_supported()
    {
        using var pair = new QueuePair(new ScriptedTarget());
        pair.Frontend.Put(BlkifOperation.WriteBarrier, 0, 0, 512);
        pair.Run();
        Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.NotSupported));
    }

    [Test]
    public void A_barrier_waits_for_the_other_queues_and_they_for_it()
    {
        var target = new ScriptedTarget();
        var gate = new BarrierGate();
        var other = new ScriptedTarget();
        using QueuePair barrier = Pair(target, gate);
        using QueuePair writer = Pair(other, gate);
        writer.Frontend.Put(BlkifOperation.Write, 0, 0, 512);
        writer.Run();
        barrier.Frontend.Put(BlkifOperation.WriteBarrier, 0, 8, 512);
        barrier.Run();
        Assert.That(target.Calls, Is.Empty, "a write of another queue is under way");
        Assert.That(barrier.Engine.MayBePolled, Is.False, "the other queue wakes it");
        writer.Frontend.Put(BlkifOperation.Write, 1, 8, 512);
        writer.Run();
        Assert.That(other.Calls, Has.Count.EqualTo(1), "what comes after the barrier waits");
        Assert.That(writer.Engine.MayBePolled, Is.False, "the end of the barrier wakes it");

        other.CompleteAll();
        writer.Run();
        barrier.Run();
        Assert.That(target.Calls, Is.EqualTo(new[] { "Flush" }));
        writer.Run();
        Assert.That(other.Calls, Has.Count.EqualTo(1));
        target.Answer = _ => BlockStatus.Okay;
        target.CompleteAll();
        barrier.Run();
        writer.Run();
        Assert.That(other.Calls, Has.Count.EqualTo(2));
        Assert.That((barrier.Engine.MayBePolled, writer.Engine.MayBePolled), Is.EqualTo((Environment.ProcessorCount > 1, Environment.ProcessorCount > 1)));
        other.CompleteAll();
        writer.Run();
    }

    [Test]
    public void A_queue_that_is_taken_apart_is_not_waited_for_and_leaves_the_gate_open()
    {
        var target = new ScriptedTarget { Answer = _ => BlockStatus.Okay };
        var gate = new BarrierGate();
        using QueuePair stays = Pair(target, gate);
        QueuePair goes = Pair(new ScriptedTarget(), gate);
        goes.Frontend.Put(BlkifOperation.WriteBarrier, 0, 0, 512);
        goes.Run();
        goes.Engine.LeaveDevice();
        stays.Frontend.Put(BlkifOperation.WriteBarrier, 0, 0, 512);
        stays.Run();
        Assert.That(Responses(stays).Single().Status, Is.EqualTo(BlkifStatus.Okay));
    }

    [Test]
    public async Task With_a_disk_that_answers_late_and_in_any_order_nothing_before_a_barrier_is_under_way_and_nothing_after_it_has_begun(
        [Values(1, 2, 4)] int queues)
    {
        int seed = Environment.GetEnvironmentVariable("XEN_BLKIF_TARGET_SEED") is { Length: > 0 } text
            ? int.Parse(text, CultureInfo.InvariantCulture)
            : Random.Shared.Next();
        TestContext.Out.WriteLine($"XEN_BLKIF_TARGET_SEED={seed.ToString(CultureInfo.InvariantCulture)} repeats these requests.");
        await using var target = new OrderTarget(queues, seed);
        var gate = new BarrierGate();
        QueuePair[] pairs = [.. Enumerable.Range(0, queues).Select(_ => Pair(target, gate))];
        await Task.WhenAll(pairs.Select((pair, queue) => Task.Factory.StartNew(
            () => Drive(pair, queue, new Random(seed + queue), requests: 1_500), TaskCreationOptions.LongRunning)));
        Assert.That(target.Violations(), Is.Empty);
        Assert.That(target.Barriers, Is.GreaterThan(queues * 20));
        foreach (QueuePair pair in pairs)
            pair.Dispose();
    }

    private static void Drive(QueuePair pair, int queue, Random random, int requests)
    {
        var free = new Stack<int>(Enumerable.Range(0, pair.Frontend.Depth));
        for (int number = 0; number < requests || free.Count < pair.Frontend.Depth;)
        {
            for (int burst = random.Next(1, 9); burst > 0 && number < requests && free.Count > 0; burst--, number++)
            {
                BlkifOperation operation = random.Next(30) switch
                {
                    0 => BlkifOperation.WriteBarrier,
                    1 => BlkifOperation.FlushDiskCache,
                    < 12 => BlkifOperation.Read,
                    _ => BlkifOperation.Write,
                };
                int length = operation == BlkifOperation.FlushDiskCache ? 0 : 512;
                pair.Frontend.Put(operation, free.Pop(), OrderTarget.Sector(queue, number, operation == BlkifOperation.WriteBarrier), length);
            }

            FrontendCompletion completion = pair.RunForResponse();
            do
            {
                Assert.That(completion.Status, Is.EqualTo(BlkifStatus.Okay));
                free.Push((int)completion.Id);
            }
            while (pair.Frontend.TryTake(out completion));
        }

        // A queue whose thread has nothing to do says so, as it does before it sleeps.
        while (pair.Engine.RunPass())
        {
            // Nothing is left to answer.
        }
    }

    private static QueuePair Pair(IBlockTarget target, BarrierGate? gate = null) => new(target, configure: made => made with
    {
        Limits = target.Info.ToRequestLimits(barriers: true),
        Barriers = gate,
    });

    private static List<FrontendCompletion> Responses(QueuePair pair)
    {
        var responses = new List<FrontendCompletion>();
        while (pair.Frontend.TryTake(out FrontendCompletion completion))
            responses.Add(completion);
        return responses;
    }
}
