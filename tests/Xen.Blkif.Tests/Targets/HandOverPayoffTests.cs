using Xen.Blkif.Targets;
using Xen.Blkif.Targets.Files;

namespace Xen.Blkif.Tests.Targets;

internal sealed class HandOverPayoffTests
{
    [Test]
    public void What_nothing_is_known_of_is_handed_over()
    {
        var payoff = new HandOverPayoff();
        Assert.That(payoff.Pays(BlockIoKind.Read), Is.True);

        payoff.Took(BlockIoKind.Read, 1);
        Assert.That(payoff.Pays(BlockIoKind.Read), Is.True, "what waking costs is not known");
    }

    [TestCase(1, false)]
    [TestCase(199, false)]
    [TestCase(200, true)]
    [TestCase(100_000, true)]
    public void A_request_is_handed_over_that_takes_longer_than_there_and_back(long ticks, bool pays)
    {
        var payoff = new HandOverPayoff();
        payoff.Woke(100);
        payoff.Took(BlockIoKind.Write, ticks);
        Assert.That(payoff.Pays(BlockIoKind.Write), Is.EqualTo(pays));
        Assert.That(payoff.Pays(BlockIoKind.Flush), Is.True, "each kind has a duration of its own");
    }

    [Test]
    public void One_slow_request_changes_nothing_and_many_do()
    {
        var payoff = new HandOverPayoff();
        payoff.Woke(1000);
        payoff.Took(BlockIoKind.Read, 10);
        payoff.Took(BlockIoKind.Read, 5000);
        Assert.That(payoff.Pays(BlockIoKind.Read), Is.False);

        for (int i = 0; i < 8; i++)
            payoff.Took(BlockIoKind.Read, 5000);
        Assert.That(payoff.Pays(BlockIoKind.Read), Is.True);

        for (int i = 0; i < 32; i++)
            payoff.Took(BlockIoKind.Read, 10);
        Assert.That(payoff.Pays(BlockIoKind.Read), Is.False);
    }

    [Test]
    public void A_request_that_takes_long_and_does_not_sleep_is_not_handed_over()
    {
        var payoff = new HandOverPayoff();
        payoff.Woke(100);
        payoff.Took(BlockIoKind.Write, 10_000);
        payoff.Took(BlockIoKind.Write, 10_000, slept: false);
        Assert.That(payoff.Pays(BlockIoKind.Write), Is.False);

        for (int i = 0; i < 8; i++)
            payoff.Took(BlockIoKind.Write, 10_000, slept: true);
        Assert.That(payoff.Pays(BlockIoKind.Write), Is.True, "it has come to sleep");
        Assert.That(payoff.Pays(BlockIoKind.Read), Is.True, "each kind is known by itself");
    }

    [Test]
    public void Whether_requests_sleep_is_asked_of_one_in_eight_that_take_long_and_of_no_others()
    {
        var payoff = new HandOverPayoff();
        payoff.Woke(100);
        payoff.Took(BlockIoKind.Read, 10);
        payoff.Took(BlockIoKind.Write, 10_000);
        Assert.That(Enumerable.Range(0, 80).Count(_ => payoff.WantsToKnowSleep(BlockIoKind.Read)), Is.Zero);
        Assert.That(Enumerable.Range(0, 80).Count(_ => payoff.WantsToKnowSleep(BlockIoKind.Write)), Is.EqualTo(10));
    }

    [Test]
    public void One_request_in_four_that_take_no_time_is_measured_and_every_one_after_one_that_takes_long()
    {
        var payoff = new HandOverPayoff();
        payoff.Woke(100);
        var measured = new List<int>();
        for (int i = 0; i < 20; i++)
        {
            if (!payoff.WantsToKnowDuration())
                continue;
            measured.Add(i);
            payoff.Took(BlockIoKind.Read, i is 12 or 13 ? 1000 : 1);
        }

        Assert.That(measured, Is.EqualTo(new[] { 0, 4, 8, 12, 13, 14, 18 }));
    }

    [Test]
    public void A_request_that_computes_for_two_milliseconds_is_handed_over_all_the_same()
    {
        var payoff = new HandOverPayoff();
        payoff.Woke(100);
        payoff.Took(BlockIoKind.Discard, System.Diagnostics.Stopwatch.Frequency / 500);
        payoff.Took(BlockIoKind.Discard, System.Diagnostics.Stopwatch.Frequency / 500, slept: false);
        Assert.That(payoff.Pays(BlockIoKind.Discard), Is.True);
    }

    [Test]
    [Platform("Linux")]
    public void A_thread_that_sleeps_is_counted_and_one_that_computes_is_not()
    {
        Assert.That(LibC.SleepsOfThisThread(), Is.Not.Negative);

        // Whoever collects garbage meanwhile may put it to sleep, but not every time.
        Assert.That(Enumerable.Range(0, 100).Any(_ => SleepsIn(() => Thread.SpinWait(1000)) == 0), Is.True);
        Assert.That(SleepsIn(() => Thread.Sleep(1)), Is.Positive);

        static long SleepsIn(Action action)
        {
            long before = LibC.SleepsOfThisThread();
            action();
            return LibC.SleepsOfThisThread() - before;
        }
    }

    [Test]
    public void However_long_waking_took_a_request_of_two_milliseconds_is_handed_over()
    {
        var payoff = new HandOverPayoff();
        payoff.Woke(System.Diagnostics.Stopwatch.Frequency * 10);
        payoff.Took(BlockIoKind.Read, System.Diagnostics.Stopwatch.Frequency / 500);
        Assert.That(payoff.Pays(BlockIoKind.Read), Is.True);
    }
}
