using Xen.Blkif.IoUring.Kernel;
using Xen.Blkif.Targets;

namespace Xen.Blkif.IoUring.Tests.Queues;

/// <summary>One call waits for results, the guest and others.</summary>
internal sealed class WaitingTests
{
    private const int EventDescriptor = 101, WakeDescriptor = 102;

    [Test]
    public void One_call_asks_for_both_signals_and_waits_for_them_and_for_results()
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        bench.Start(BlockIoKind.Read, 0);
        int before = ring.Calls.Count;
        ring.OnWait = () => ring.Say(ring.Taken[0].Name, 4096);
        Assert.That(bench.Queue.Wait(1234), Is.False, "no signal has come, a result has");
        Assert.That(ring.Calls.Skip(before), Is.EqualTo(new[] { (2, 1, 1234) }));
        Assert.That(Polls(ring), Is.EqualTo(new[] { EventDescriptor, WakeDescriptor }));
        bench.Queue.Reap();
        Assert.That(bench.Answers, Is.EqualTo(new[] { (0, BlockStatus.Okay) }));
    }

    [Test]
    public void What_was_asked_for_and_has_not_come_is_not_asked_for_again()
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        for (int i = 0; i < 3; i++)
            Assert.That(bench.Queue.Wait(0), Is.False);
        Assert.That(Polls(ring), Is.EqualTo(new[] { EventDescriptor, WakeDescriptor }));
        ring.Say(PollOf(ring, EventDescriptor), 1);
        Assert.That(bench.Queue.Wait(-1), Is.True);
        bench.Queue.Reap();
        Assert.That(bench.Queue.Wait(0), Is.False);
        Assert.That(Polls(ring), Is.EqualTo(new[] { EventDescriptor, WakeDescriptor, EventDescriptor }));
        Assert.That((bench.Channel.Events, bench.Channel.Wakes), Is.EqualTo((1, 0)));
    }

    [Test]
    public void A_signal_that_comes_between_the_look_and_the_wait_ends_the_wait([Values(EventDescriptor, WakeDescriptor)] int descriptor)
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        bench.Queue.Wait(0);
        bench.Queue.Reap();
        ring.Say(PollOf(ring, descriptor), 1);
        ring.OnWait = () => Assert.Fail("there is a signal, and nothing to wait for");
        Assert.That(bench.Queue.Wait(-1), Is.True);
    }

    [Test]
    public void The_port_is_unmasked_for_a_wait_only_and_an_event_does_not_end_a_pause()
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        bench.Queue.Wait(0);
        bench.Queue.Reap();
        Assert.That(bench.Channel.Unmasked, Is.EqualTo(1));

        // The event was asked for before the pause and comes in it; another one cannot come, since the port stays masked.
        int waits = 0;
        ring.OnWait = () =>
        {
            if (++waits == 1)
                ring.Say(PollOf(ring, EventDescriptor), 1);
            else
                ring.Say(PollOf(ring, WakeDescriptor), 1);
        };
        Assert.That(bench.Queue.WaitForWake(-1), Is.True);
        Assert.That((waits, bench.Channel.Unmasked, bench.Channel.Events), Is.EqualTo((2, 1, 1)));
    }

    [Test]
    public void A_pause_ends_with_its_time_and_with_a_result([Values] bool withResult)
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        bench.Start(BlockIoKind.Read, 0);
        if (withResult)
            ring.OnWait = () => ring.Say(ring.Taken[0].Name, 4096);
        Assert.That(bench.Queue.WaitForWake(20), Is.False);
        bench.Queue.Reap();
        Assert.That(bench.Answers, Has.Count.EqualTo(withResult ? 1 : 0));
        Assert.That(Polls(ring), Is.EqualTo(new[] { WakeDescriptor }), "a guest is not listened to in a pause");
    }

    [Test]
    public void A_channel_that_cannot_be_polled_is_said_and_not_polled_for_ever()
    {
        var ring = new FakeRing();
        ring.OnTaken = entry => ring.Say(entry.Name, -9);
        using var bench = new Bench(ring);
        Assert.That(
            () =>
            {
                for (int i = 0; i < 10; i++)
                    bench.Queue.Wait(-1);
            },
            Throws.TypeOf<IOException>().With.Message.Contains("9"));
    }

    private static int[] Polls(FakeRing ring) => [.. ring.Taken.Where(entry => entry.Operation == Operation.Poll).Select(entry => entry.Descriptor)];

    private static ulong PollOf(FakeRing ring, int descriptor) => ring.Taken.Last(entry => entry.Operation == Operation.Poll && entry.Descriptor == descriptor).Name;
}
