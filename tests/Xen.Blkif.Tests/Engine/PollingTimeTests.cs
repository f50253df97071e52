using System.Diagnostics;
using Xen.Blkif.Engine;

namespace Xen.Blkif.Tests.Engine;

/// <summary>How a queue learns how long to look for work before it sleeps.</summary>
internal sealed class PollingTimeTests
{
    private static readonly long Microsecond = Stopwatch.Frequency / 1_000_000;
    private static readonly long Longest = 32 * Microsecond;

    [Test]
    public void A_queue_does_not_look_before_it_knows_that_it_would_have_helped() =>
        Assert.That(default(PollingTime).Ticks, Is.Zero);

    [Test]
    public void Short_sleeps_make_it_look_longer_and_longer_up_to_the_longest_time()
    {
        var polling = default(PollingTime);
        long[] ticks = new long[5];
        for (int i = 0; i < ticks.Length - 1; i++)
        {
            polling.Slept(20 * Microsecond, Longest);
            ticks[i] = polling.Ticks / Microsecond;
        }

        Assert.That(ticks.Take(4), Is.EqualTo(new long[] { 4, 8, 16, 32 }));
    }

    [Test]
    public void A_long_sleep_ends_it_so_that_an_idle_device_costs_nothing()
    {
        PollingTime polling = Grown();
        polling.Slept(1000 * Microsecond, Longest);
        Assert.That(polling.Ticks, Is.Zero);
    }

    [Test]
    public void Looking_for_the_longest_time_in_vain_again_and_again_makes_it_stop_for_longer_and_longer()
    {
        PollingTime polling = Grown();
        var pauses = new List<int>();
        for (int i = 0; i < 9; i++)
        {
            polling.Slept(50 * Microsecond, Longest);
            int sleeps = 0;
            for (; polling.Ticks == 0; sleeps++)
                polling.Slept(50 * Microsecond, Longest);
            pauses.Add(sleeps - 1);
            for (; polling.Ticks < Longest; sleeps++)
                polling.Slept(50 * Microsecond, Longest);
        }

        Assert.That(pauses, Is.EqualTo(new[] { 1, 2, 4, 8, 16, 32, 64, 64, 64 }));
    }

    [Test]
    public void Work_that_was_found_makes_the_next_pause_short_again()
    {
        PollingTime polling = Grown();
        for (int i = 0; i < 100; i++)
            polling.Slept(50 * Microsecond, Longest);
        while (polling.Ticks < Longest)
            polling.Slept(50 * Microsecond, Longest);
        polling.Found();

        polling.Slept(50 * Microsecond, Longest);
        polling.Slept(50 * Microsecond, Longest);
        polling.Slept(50 * Microsecond, Longest);
        Assert.That(polling.Ticks, Is.Positive, "one sleep without, then it begins again");
    }

    private static PollingTime Grown()
    {
        var polling = default(PollingTime);
        while (polling.Ticks < Longest)
            polling.Slept(20 * Microsecond, Longest);
        return polling;
    }
}
