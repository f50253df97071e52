using System.Diagnostics;
using Xen.Blkif.Targets;
using Xen.Blkif.Tests.Backend;

namespace Xen.Blkif.Tests.Targets;

/// <summary>What the wrappers add to what the contract says.</summary>
internal sealed class WrapperTests
{
    private const int Size = 1 << 20;

    [TestCase(BlockIoKind.Write)]
    [TestCase(BlockIoKind.Discard)]
    [TestCase(BlockIoKind.SecureDiscard)]
    public void A_read_only_target_changes_nothing_even_when_it_is_asked_past_the_parser(BlockIoKind kind)
    {
        var inner = new MemoryTarget(Size);
        inner.CopyFrom(0, [1, 2, 3]);
        using var driver = new TargetDriver(new ReadOnlyTarget(inner));
        Assert.That(driver.Do(kind, 0, 4096), Is.EqualTo(BlockStatus.Error));
        Assert.That(driver.Read(0, 512)[..4], Is.EqualTo(new byte[] { 1, 2, 3, 0 }));
    }

    [Test]
    public void A_read_only_target_is_otherwise_what_it_wraps()
    {
        var info = new ReadOnlyTarget(new MemoryTarget(Size)).Info;
        Assert.That(info, Is.EqualTo(new BlockTargetInfo(Size) { ReadOnly = true, Flush = Capability.Native }));
    }

    [Test]
    public void A_wrapper_is_as_long_as_what_it_wraps_whatever_it_was_before()
    {
        var inner = new ElasticTarget(Size, 2 * Size);
        IBlockTarget[] wrappers =
        [
            new ReadOnlyTarget(inner), new DelayTarget(inner, TimeSpan.Zero), new FaultTarget(inner, (in BlockIo _) => BlockStatus.Okay),
        ];
        foreach (int length in new[] { Size, 2 * Size, Size / 2 })
        {
            inner.Length = length;
            Assert.That(wrappers.Select(wrapper => wrapper.Info.Length), Is.All.EqualTo(length));
        }
    }

    [TestCase(BlockStatus.Error)]
    [TestCase(BlockStatus.NotSupported)]
    public void A_fault_is_met_by_the_requests_that_the_rule_chose_and_they_do_not_reach_the_target(BlockStatus fate)
    {
        var inner = new MemoryTarget(Size);
        using var driver = new TargetDriver(new FaultTarget(inner, (in BlockIo io) =>
            io is { Kind: BlockIoKind.Write, Offset: 4096 } ? fate : BlockStatus.Okay));
        driver.Buffer(0).Fill(9);
        Assert.That(driver.Do(BlockIoKind.Write, 4096, 4096), Is.EqualTo(fate));
        Assert.That(driver.Do(BlockIoKind.Write, 8192, 4096), Is.EqualTo(BlockStatus.Okay));
        Assert.That(driver.Read(4096, 8192), Is.EqualTo((byte[])[.. new byte[4096], .. Enumerable.Repeat((byte)9, 4096)]));
    }

    [Test]
    public void A_rule_that_gives_no_fate_is_told_so_instead_of_leaving_the_request_for_ever()
    {
        using IBlockQueue queue = new FaultTarget(new MemoryTarget(Size), (in BlockIo _) => BlockStatus.Pending).OpenQueue(1, new NoCompletions());
        Assert.That(() => queue.Submit(BlockIo.Flush(0)), Throws.InvalidOperationException.With.Message.Contains("rule"));
    }

    [TestCase(0.3)]
    [TestCase(1)]
    [TestCase(4.9)]
    [TestCase(20)]
    public void A_delayed_request_never_takes_less_than_the_delay(double milliseconds)
    {
        TimeSpan delay = TimeSpan.FromTicks((long)(milliseconds * TimeSpan.TicksPerMillisecond));
        using var driver = new TargetDriver(new DelayTarget(new MemoryTarget(Size), delay));
        for (int i = 0; i < 10; i++)
        {
            long start = Stopwatch.GetTimestamp();
            driver.Do(BlockIoKind.Read, 0, 512);
            Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThanOrEqualTo(delay));
        }
    }

    [Test]
    public void Delayed_requests_wait_together_and_not_one_after_the_other()
    {
        using var driver = new TargetDriver(new DelayTarget(new MemoryTarget(Size), TimeSpan.FromMilliseconds(100)), depth: 64);
        long start = Stopwatch.GetTimestamp();
        for (int slot = 0; slot < 64; slot++)
            driver.Start(BlockIoKind.Read, slot, 0, 512);
        for (int slot = 0; slot < 64; slot++)
            driver.Wait(slot);
        Assert.That(Stopwatch.GetElapsedTime(start), Is.LessThan(TimeSpan.FromMilliseconds(64 * 100 / 2)));
    }

    [Test]
    public void A_failure_is_delayed_and_stays_a_failure()
    {
        var failing = new FaultTarget(new MemoryTarget(Size), (in BlockIo _) => BlockStatus.NotSupported);
        using var driver = new TargetDriver(new DelayTarget(failing, TimeSpan.FromMilliseconds(1)));
        Assert.That(driver.Do(BlockIoKind.Flush), Is.EqualTo(BlockStatus.NotSupported));
    }

    [Test]
    public void A_delay_is_not_negative_and_at_most_a_minute([Values(-1, 60_001)] int milliseconds) => Assert.That(
        () => new DelayTarget(new NullTarget(Size), TimeSpan.FromMilliseconds(milliseconds)), Throws.TypeOf<ArgumentOutOfRangeException>());

    [Test]
    public async Task A_wrapper_disposes_what_it_wraps()
    {
        foreach (Func<IBlockTarget, IBlockTarget> wrap in (Func<IBlockTarget, IBlockTarget>[])
            [
                inner => new ReadOnlyTarget(inner),
                inner => new DelayTarget(inner, TimeSpan.Zero),
                inner => new FaultTarget(inner, (in BlockIo _) => BlockStatus.Okay),
            ])
        {
            var inner = new MemoryTarget(Size);
            await wrap(inner).DisposeAsync();
            Assert.That(() => inner.CopyTo(0, new byte[1]), Throws.TypeOf<ObjectDisposedException>());
        }
    }

    private sealed class NoCompletions : IBlockCompletions
    {
        public void Complete(int slot, BlockStatus status) => Assert.Fail("Nothing was pending.");
    }
}
