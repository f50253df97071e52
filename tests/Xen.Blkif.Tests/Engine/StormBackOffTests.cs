using Xen.Blkif.Engine;

namespace Xen.Blkif.Tests.Engine;

internal sealed class StormBackOffTests
{
    [Test]
    public void The_first_events_without_work_are_free()
    {
        var storm = default(StormBackOff);
        for (int i = 0; i < StormBackOff.Tolerated; i++)
        {
            storm.Count();
            Assert.That(storm.TryTakePause(out _), Is.False);
        }
    }

    [Test]
    public void Each_pause_is_twice_as_long_as_the_last_up_to_the_longest()
    {
        StormBackOff storm = AfterFreeEvents();
        int[] pauses = [.. Enumerable.Range(0, 100).Select(_ => Next(ref storm))];
        Assert.That(pauses.Take(8), Is.EqualTo(new[] { 1, 2, 4, 8, 16, 32, 64, 100 }));
        Assert.That(pauses.Skip(8), Is.All.EqualTo(StormBackOff.LongestPauseMilliseconds));
    }

    [Test]
    public void An_event_costs_one_pause()
    {
        StormBackOff storm = AfterFreeEvents();
        Next(ref storm);
        Assert.That(storm.TryTakePause(out int milliseconds), Is.False);
        Assert.That(milliseconds, Is.Zero);
    }

    [Test]
    public void Work_forgives_all()
    {
        StormBackOff storm = AfterFreeEvents();
        Next(ref storm);
        storm.Count();
        storm.Reset();
        Assert.That(storm.TryTakePause(out _), Is.False, "not even the pause that was due");
        storm.Count();
        Assert.That(storm.TryTakePause(out _), Is.False);
    }

    private static StormBackOff AfterFreeEvents()
    {
        var storm = default(StormBackOff);
        for (int i = 0; i < StormBackOff.Tolerated; i++)
            storm.Count();
        return storm;
    }

    private static int Next(ref StormBackOff storm)
    {
        storm.Count();
        Assert.That(storm.TryTakePause(out int milliseconds), Is.True);
        return milliseconds;
    }
}
