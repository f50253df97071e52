using Xen.Blkif.Engine;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Engine;

[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class FailedFlushTests
{
    private static readonly FlushFailurePolicy AtOnce = new() { Retries = 3, Pause = TimeSpan.Zero };

    [TestCase(0)]
    [TestCase(4096)]
    public void A_flush_that_fails_now_and_then_is_tried_again_and_the_guest_hears_of_success_alone(int length)
    {
        int failures = 2;
        var target = new ScriptedTarget { Answer = io => io.Kind == BlockIoKind.Flush && failures-- > 0 ? BlockStatus.Error : BlockStatus.Okay };
        using QueuePair pair = Pair(target, AtOnce);
        pair.Frontend.Put(BlkifOperation.FlushDiskCache, 0, 0, length);
        Assert.That(pair.RunForResponse().Status, Is.EqualTo(BlkifStatus.Okay));
        Assert.That(target.Calls.Count(call => call == "Flush"), Is.EqualTo(3));
        Assert.That(pair.Engine.HasLostFlush, Is.False);
    }

    [Test]
    public void A_flush_that_fails_for_good_is_never_answered_and_no_further_request_is_taken()
    {
        var target = new ScriptedTarget { Answer = io => io.Kind == BlockIoKind.Flush ? BlockStatus.Error : BlockStatus.Okay };
        using QueuePair pair = Pair(target, AtOnce);
        pair.Frontend.Put(BlkifOperation.Write, 0, 0, 512);
        pair.Frontend.Put(BlkifOperation.FlushDiskCache, 1, 0, 0);
        Assert.That(pair.RunForResponse().Operation, Is.EqualTo(BlkifOperation.Write));
        for (int i = 0; i < 10; i++)
            pair.Run();
        pair.Frontend.Put(BlkifOperation.Write, 2, 0, 512);
        pair.Run();
        Assert.That(pair.Frontend.TryTake(out _), Is.False);
        Assert.That((pair.Engine.HasLostFlush, pair.Engine.InFlight), Is.EqualTo((true, 0)));
        Assert.That(target.Calls.Count(call => call == "Flush"), Is.EqualTo(4));
        Assert.That(pair.Engine.Statistics.Flushes.Failed, Is.EqualTo(1));
    }

    [Test]
    public void Other_requests_go_on_while_a_flush_is_held_and_a_ring_that_is_let_go_of_gives_it_up()
    {
        var target = new ScriptedTarget { Answer = io => io.Kind == BlockIoKind.Flush ? BlockStatus.Error : BlockStatus.Okay };
        using QueuePair pair = Pair(target, FlushFailurePolicy.Hold with { Pause = TimeSpan.FromHours(1) });
        Assert.That(pair.Engine.MaxSleepMilliseconds, Is.EqualTo(Timeout.Infinite));
        Assert.That(pair.Engine.MayBePolled, Is.EqualTo(Environment.ProcessorCount > 1));
        pair.Frontend.Put(BlkifOperation.FlushDiskCache, 0, 0, 0);
        pair.Run();
        Assert.That(pair.Engine.MaxSleepMilliseconds, Is.InRange(3_000_000, 3_600_000), "the queue's thread comes back in time");
        Assert.That(pair.Engine.MayBePolled, Is.False, "who looks at the ring does not see that the time has come");
        pair.Frontend.Put(BlkifOperation.Write, 1, 0, 512);
        Assert.That(pair.RunForResponse().Operation, Is.EqualTo(BlkifOperation.Write));
        Assert.That(pair.Engine.InFlight, Is.EqualTo(1));

        pair.Engine.IsDraining = true;
        pair.Run();
        Assert.That(pair.Engine.InFlight, Is.Zero);
        Assert.That(pair.Frontend.TryTake(out _), Is.False, "an error would be taken for a disk that cannot flush");
    }

    [Test]
    public void A_guest_that_is_to_be_told_is_told_after_the_last_try()
    {
        var target = new ScriptedTarget { Answer = _ => BlockStatus.Error };
        using QueuePair pair = Pair(target, AtOnce with { TellsGuest = true });
        pair.Frontend.Put(BlkifOperation.FlushDiskCache, 0, 0, 0);
        Assert.That(pair.RunForResponse().Status, Is.EqualTo(BlkifStatus.Error));
        Assert.That(target.Calls, Has.Count.EqualTo(4));
    }

    [Test]
    public void The_write_of_a_flush_with_data_is_an_ordinary_one_and_its_failure_is_told()
    {
        var target = new ScriptedTarget { Answer = io => io.Kind == BlockIoKind.Write ? BlockStatus.Error : BlockStatus.Okay };
        using QueuePair pair = Pair(target, AtOnce);
        pair.Frontend.Put(BlkifOperation.FlushDiskCache, 0, 0, 512);
        Assert.That(pair.RunForResponse().Status, Is.EqualTo(BlkifStatus.Error));
        Assert.That(target.Calls, Is.EqualTo(new[] { "Flush", "Write 0+512" }));
    }

    [Test]
    public void A_policy_has_bounds()
    {
        Assert.That(() => new FlushFailurePolicy { Retries = -2 }, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new FlushFailurePolicy { Pause = TimeSpan.FromTicks(-1) }, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new FlushFailurePolicy { Pause = TimeSpan.FromHours(2) }, Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    private static QueuePair Pair(IBlockTarget target, FlushFailurePolicy policy) => new(target, configure: made => made with { FlushFailure = policy });
}
