using System.Diagnostics;
using Xen.Blkif.Engine;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Engine;

/// <summary>How a queue learns what a sleep costs, which is how long it pays to look for work instead.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class SleepCostTests
{
    private static readonly long Microsecond = Stopwatch.Frequency / 1_000_000;

    [Test]
    public void Where_a_notification_is_quick_or_was_not_measured_yet_it_pays_for_32_microseconds()
    {
        var cost = default(SleepCost);
        Assert.That(cost.Ticks, Is.EqualTo(32 * Microsecond));
        cost.Note(2 * Microsecond);
        Assert.That(cost.Ticks, Is.EqualTo(32 * Microsecond));
    }

    [Test]
    public void Where_one_takes_as_long_as_on_an_emulated_machine_it_pays_for_eight_times_as_long_and_never_for_more_than_a_millisecond()
    {
        var cost = default(SleepCost);
        cost.Note(100 * Microsecond);
        Assert.That(cost.Ticks, Is.EqualTo(800 * Microsecond));
        for (int i = 0; i < 100; i++)
            cost.Note(Stopwatch.Frequency);
        Assert.That(cost.Ticks, Is.EqualTo(1000 * Microsecond).Within(Microsecond));
    }

    [Test]
    public void One_that_was_interrupted_changes_little_and_many_that_are_quicker_are_believed()
    {
        var cost = default(SleepCost);
        cost.Note(20 * Microsecond);
        cost.Note(Stopwatch.Frequency);
        Assert.That(cost.Ticks, Is.EqualTo(200 * Microsecond));
        for (int i = 0; i < 20; i++)
            cost.Note(Microsecond);
        Assert.That(cost.Ticks, Is.EqualTo(32 * Microsecond));
    }

    [Test]
    public void One_notification_of_64_is_measured() =>
        Assert.That(Enumerable.Range(1, 200).Where(number => SleepCost.IsSample(number)), Is.EqualTo(new[] { 64, 128, 192 }));

    [Test]
    public void A_queue_whose_notifications_take_long_looks_for_longer_unless_it_was_told_how_long()
    {
        Assume.That(Environment.ProcessorCount, Is.GreaterThan(1), "with one processor no queue looks for work");

        // Every look at the clock takes as long as a notification on an emulated machine.
        long now = 0;
        using var learning = PairWith(null);
        using var told = PairWith(TimeSpan.FromMilliseconds(0.005));
        using var never = PairWith(TimeSpan.Zero);
        Assert.That(new[] { learning, told, never }.Select(AfterManyReads), Is.EqualTo(new[] { 800 * Microsecond, 5 * Microsecond, 0 }));
        Assert.That(new[] { learning, told, never }.Select(pair => pair.Engine.MayBePolled), Is.EqualTo(new[] { true, true, false }));

        QueuePair PairWith(TimeSpan? most) => new(
            new MemoryTarget(1 << 20), configure: settings => settings with { MaxPollTime = most, Clock = () => now += 100 * Microsecond });

        static long AfterManyReads(QueuePair pair)
        {
            for (int i = 0; i < 64; i++)
            {
                pair.Frontend.Put(BlkifOperation.Read, 0, 0, 4096);
                pair.Run();
                Assert.That(pair.Frontend.TryTake(out _), Is.True);
                Assert.That(pair.Frontend.Wait(0), Is.False, "nothing more, and the next one is to be told of");
            }

            Assert.That(pair.Engine.Statistics.Notifications, Is.EqualTo(64));
            return pair.Engine.MaxPollTicks;
        }
    }
}
