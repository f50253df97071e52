using Xen.Blkif.Targets;

namespace Xen.Blkif.IoUring.Tests.Queues;

/// <summary>Results that are there when the kernel has taken a request, as those from the page cache are.</summary>
internal sealed class PromptResultTests
{
    [Test]
    public void A_result_that_is_there_at_once_comes_with_the_request_and_costs_no_call()
    {
        var ring = new FakeRing();
        ring.OnTaken = entry => ring.Say(entry.Name, 4096);
        using var bench = new Bench(ring);
        Assert.That(bench.Start(BlockIoKind.Read, 3), Is.EqualTo(BlockStatus.Pending));
        Assert.That(bench.Answers, Is.EqualTo(new[] { (3, BlockStatus.Okay) }));
        Assert.That(ring.Calls, Has.Count.EqualTo(1));
        bench.Queue.Reap();
        Assert.That(bench.Answers, Has.Count.EqualTo(1), "once");
    }

    [Test]
    public void Requests_that_are_held_together_have_theirs_when_they_are_let_go()
    {
        var ring = new FakeRing();
        ring.OnTaken = entry => ring.Say(entry.Name, 4096);
        using var bench = new Bench(ring);
        bench.Queue.Plug();
        for (int slot = 0; slot < 3; slot++)
            bench.Start(BlockIoKind.Write, slot, slot * 4096);
        Assert.That(bench.Answers, Is.Empty);
        bench.Queue.Unplug();
        Assert.That(bench.Answers, Is.EqualTo(new[] { (0, BlockStatus.Okay), (1, BlockStatus.Okay), (2, BlockStatus.Okay) }));
        Assert.That(ring.Calls, Has.Count.EqualTo(1));
    }

    [Test]
    public void A_transfer_in_pieces_that_are_there_at_once_goes_on_until_it_is_whole()
    {
        var ring = new FakeRing();
        ring.OnTaken = entry => ring.Say(entry.Name, 512);
        using var bench = new Bench(ring);
        bench.Start(BlockIoKind.Read, 0, 0, 512, 512, 512);
        Assert.That(bench.Answers, Is.EqualTo(new[] { (0, BlockStatus.Okay) }));
        Assert.That(ring.Taken, Has.Count.EqualTo(3));
    }

    [Test]
    public void An_event_that_shows_with_them_is_kept_for_who_waits()
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        bench.Queue.Wait(0);
        ulong events = ring.Taken[0].Name;
        ring.OnTaken = entry =>
        {
            ring.Say(events, 1);
            ring.Say(entry.Name, 4096);
        };
        bench.Start(BlockIoKind.Read, 0);
        Assert.That(bench.Answers, Has.Count.EqualTo(1));
        Assert.That(bench.Queue.HasResults, Is.True);
        Assert.That(bench.Queue.Wait(1000), Is.True, "it does not sleep over an event that has come");
    }
}
