using System.Diagnostics;
using Xen.Blkif.Engine;

namespace Xen.Blkif.Tests.Engine;

/// <summary>How a queue learns for how long looking for work pays before it sleeps.</summary>
internal sealed class PollingTimeTests
{
    private static readonly long Microsecond = Stopwatch.Frequency / 1_000_000;
    private static readonly long Longest = 2000 * Microsecond;

    [Test]
    public void A_queue_does_not_look_before_it_knows_how_long_it_sleeps() =>
        Assert.That(default(PollingTime).Ticks, Is.Zero);

    [Test]
    public void After_a_short_sleep_it_tries_to_look_for_as_long_as_that_took()
    {
        var polling = default(PollingTime);
        polling.Slept(40 * Microsecond, 0, Longest);
        Assert.That(polling.Ticks, Is.EqualTo(40 * Microsecond));
    }

    [TestCase(40, 5)]
    [TestCase(40, 30)]
    [TestCase(1000, 700)]
    public void It_goes_on_looking_where_that_saves_a_third_of_what_it_takes_or_more(int sleeping, int looking)
    {
        Guest guest = new(sleeping, looking);
        int looks = guest.Turns(10_000);
        Assert.That(looks, Is.GreaterThan(9_700), "but for one sleep in 65, which tells what sleeping takes");
    }

    [TestCase(40, 31)]
    [TestCase(1000, 990)]
    [TestCase(1000, 1000)]
    [TestCase(1500, 1480)]
    public void It_looks_less_and_less_where_the_guest_takes_its_time(int sleeping, int looking)
    {
        Guest guest = new(sleeping, looking);
        int first = guest.Turns(100);
        int later = guest.Turns(100_000);
        Assert.That(first, Is.LessThanOrEqualTo(10));
        Assert.That(later, Is.InRange(1, 400), "some, for the guest may have changed");
    }

    [Test]
    public void A_queue_that_is_without_work_for_long_does_not_look()
    {
        var polling = default(PollingTime);
        for (int i = 0; i < 1000; i++)
        {
            polling.Slept(10_000 * Microsecond, 0, Longest);
            Assert.That(polling.Ticks, Is.Zero);
        }
    }

    [Test]
    public void One_long_sleep_among_short_ones_changes_nothing_and_a_few_do()
    {
        var polling = default(PollingTime);
        polling.Slept(40 * Microsecond, 0, Longest);
        polling.Slept(Stopwatch.Frequency, 0, Longest);
        Assert.That(polling.Ticks, Is.Positive);
        polling.Slept(Stopwatch.Frequency, 0, Longest);
        polling.Slept(Stopwatch.Frequency, 0, Longest);
        polling.Slept(Stopwatch.Frequency, 0, Longest);
        Assert.That(polling.Ticks, Is.Zero);
        for (int i = 0; i < 8; i++)
            polling.Slept(40 * Microsecond, 0, Longest);
        Assert.That(polling.Ticks, Is.Positive);
    }

    [Test]
    public void A_guest_that_comes_to_be_quick_is_noticed()
    {
        Guest slow = new(1000, 990);
        slow.Turns(20_000);
        slow.Becomes(1000, 100);
        slow.Turns(2_000);
        Assert.That(slow.Turns(1000), Is.GreaterThan(950));
    }

    [Test]
    public void It_never_looks_for_longer_than_it_may()
    {
        var polling = default(PollingTime);
        polling.Slept(30 * Microsecond, 0, 32 * Microsecond);
        Assert.That(polling.Ticks, Is.InRange(1, 32 * Microsecond));
        polling.Slept(33 * Microsecond, 0, 30 * Microsecond);
        Assert.That(polling.Ticks, Is.Zero);
    }

    /// <summary>A guest that always takes the same time: in microseconds, when the queue sleeps, and when it looks.</summary>
    private sealed class Guest(int sleeping, int looking)
    {
        private PollingTime _polling;
        private long _sleeping = sleeping * Microsecond;
        private long _looking = looking * Microsecond;

        public void Becomes(int sleeping, int looking) => (_sleeping, _looking) = (sleeping * Microsecond, looking * Microsecond);

        /// <summary>Counts how often the queue looks in so many turns.</summary>
        public int Turns(int count)
        {
            int looks = 0;
            for (int i = 0; i < count; i++)
            {
                long looked = Math.Min(_polling.Ticks, _looking);
                looks += looked > 0 ? 1 : 0;
                if (looked > 0 && looked == _looking)
                    _polling.Found(looked, Longest);
                else
                    _polling.Slept(_sleeping, looked, Longest);
            }

            return looks;
        }
    }
}
