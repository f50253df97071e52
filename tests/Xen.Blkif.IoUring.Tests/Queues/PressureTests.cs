using Xen.Blkif.Targets;

namespace Xen.Blkif.IoUring.Tests.Queues;

/// <summary>A kernel that does not take what it is given.</summary>
internal sealed class PressureTests
{
    private static readonly int[] Shortages = [0, -4, -11, -12, -16];

    [Test]
    public void What_the_kernel_has_no_room_for_now_is_brought_to_it_again([ValueSource(nameof(Shortages))] int outcome, [Values] bool byWaiting)
    {
        int refusals = 5;
        var ring = new FakeRing { Refusal = () => refusals-- > 0 ? outcome == 0 ? -11 : outcome : 0 };
        ring.OnTaken = entry => ring.Say(entry.Name, 4096);
        using var bench = new Bench(ring);
        bench.Start(BlockIoKind.Read, 0);
        bench.Start(BlockIoKind.Read, 1);
        for (int i = 0; i < 10 && bench.Answers.Count < 2; i++)
        {
            if (byWaiting)
                bench.Queue.Wait(0);
            bench.Queue.Reap();
        }

        Assert.That(bench.Answers.OrderBy(answer => answer.Slot), Is.EqualTo(new[] { (0, BlockStatus.Okay), (1, BlockStatus.Okay) }));
    }

    [Test]
    public void What_it_never_has_room_for_fails_in_the_end([ValueSource(nameof(Shortages))] int outcome)
    {
        var ring = new FakeRing { Refusal = () => outcome == 0 ? -16 : outcome };
        using var bench = new Bench(ring);
        for (int slot = 0; slot < Bench.Depth; slot++)
            bench.Start(BlockIoKind.Write, slot);
        for (int i = 0; i < 5000 && bench.Answers.Count < Bench.Depth; i++)
        {
            bench.Queue.Wait(1);
            bench.Queue.Reap();
        }

        Assert.That(bench.Answers.Select(answer => answer.Slot), Is.EquivalentTo(Enumerable.Range(0, Bench.Depth)));
        Assert.That(bench.Answers.Select(answer => answer.Status), Is.All.EqualTo(BlockStatus.Error));
        Assert.That(ring.Calls.Where(call => call.Wait > 0).Select(call => call.Milliseconds), Is.All.InRange(0, 1), "nothing waits for good for what was not started");
    }

    [Test]
    public void An_error_that_is_none_of_time_fails_the_requests_at_once_and_the_wait_loudly([Values(9, 14, 22, 38, 6, 133)] int error)
    {
        var ring = new FakeRing { Refusal = () => -error };
        using var bench = new Bench(ring);
        Assert.That(() => bench.Start(BlockIoKind.Read, 0), Throws.Nothing, "nor does Unplug throw");
        bench.Queue.Reap();
        Assert.That(bench.Answers, Is.EqualTo(new[] { (0, BlockStatus.Error) }));
        Assert.That(() => bench.Queue.Wait(-1), Throws.TypeOf<IOException>().With.Message.Contains($"{error}"));
    }

    [Test]
    public void A_plugged_queue_calls_for_a_few_at_a_time_and_an_unplugged_one_has_called_for_all()
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        bench.Queue.Plug();
        for (int slot = 0; slot < Bench.Depth - 1; slot++)
            bench.Start(BlockIoKind.Read, slot);
        Assert.That(ring.Calls, Is.Empty);
        bench.Queue.Unplug();
        Assert.That(ring.Calls, Is.EqualTo(new[] { (Bench.Depth - 1, 0, 0) }));
        bench.Start(BlockIoKind.Read, Bench.Depth - 1);
        Assert.That(ring.Taken, Has.Count.EqualTo(Bench.Depth), "outside a plug each goes at once");
    }
}
