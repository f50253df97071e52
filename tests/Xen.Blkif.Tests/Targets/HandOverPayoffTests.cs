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
    public void However_long_waking_took_a_request_of_two_milliseconds_is_handed_over()
    {
        var payoff = new HandOverPayoff();
        payoff.Woke(System.Diagnostics.Stopwatch.Frequency * 10);
        payoff.Took(BlockIoKind.Read, System.Diagnostics.Stopwatch.Frequency / 500);
        Assert.That(payoff.Pays(BlockIoKind.Read), Is.True);
    }
}
