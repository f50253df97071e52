using System.Globalization;
using Xen.Blkif.Backend;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;
using Xen.Blkif.Tests.Backend;

namespace Xen.Blkif.Tests.Security;

// The folder mirrors none of src/: its tests are the rows of docs/security.md, by what the guest attacks with.

/// <summary>Attacks by the event channel.</summary>
internal sealed class EventTests
{
    [Test]
    public async Task XSA_332_a_storm_of_events_without_requests_is_looked_at_a_few_times_a_second()
    {
        const int Seconds = 60;
        using var pair = new QueuePair(new MemoryTarget(1 << 20));
        using var channel = new StormyChannel(TimeSpan.FromSeconds(Seconds));
        var thread = new EngineThread(pair.Engine, channel, "storm", _ => Assert.Fail("the engine is to live"));
        await Eventually.Ends(channel.Passed, "the storm is over, in a time of its own");
        await Eventually.Ends(thread.StopAsync(), "a pause is ended by the wish to stop");
        Assert.That(channel.Waits, Is.LessThan(Seconds * 11));
    }

    [Test]
    [NonParallelizable]
    public async Task XSA_332_a_guest_that_notifies_a_million_times_costs_little_time_and_is_served_when_it_asks()
    {
        const int Guest = 332;
        const int Notifications = 1_000_000;
        if (!Directory.Exists("/proc/self/task"))
            Requirement.IsMissing("there is no /proc");
        using var xen = new SimulatedXen();
        using SimulatedGuest guest = xen.CreateGuest(Guest);
        await using var disk = new MemoryTarget(1 << 20);
        await using BlockBackend backend = await BlockBackend.AttachAsync(xen, Guest, "xvda", disk);
        await using BlkifFrontend frontend = await BlkifFrontend.ConnectAsync(guest, "xvda", new FrontendOptions { Depth = 2 });
        Stage.DoesIo(frontend, 4096);

        TimeSpan before = ProcessorTimeOf($"blkif {Guest}/");
        long start = System.Diagnostics.Stopwatch.GetTimestamp();
        for (int i = 0; i < Notifications || System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalSeconds < 1; i++)
            frontend.Queue.Channel.Notify();
        TimeSpan taken = ProcessorTimeOf($"blkif {Guest}/") - before;

        Assert.That(taken, Is.LessThan(TimeSpan.FromSeconds(0.2)), "of a storm of at least a second");
        Stage.DoesIo(frontend, 4096);
    }

    [Test]
    public async Task XSA_331_a_channel_that_is_unbound_in_a_storm_ten_thousand_times_is_not_touched_any_more()
    {
        const int Times = 10_000;
        using var pair = new QueuePair(new MemoryTarget(1 << 20));
        using SimulatedEventChannel port = pair.Guest.AllocateUnbound(0);
        using var stop = new CancellationTokenSource();
        Task storm = Task.Factory.StartNew(
            () =>
            {
                for (int i = 1; !stop.IsCancellationRequested; i++)
                {
                    port.Notify();
                    if (i % 64 == 0)
                        Thread.Yield();
                }
            },
            TaskCreationOptions.LongRunning);

        Exception? failure = null;
        for (int i = 0; i < Times; i++)
        {
            SimulatedEventChannel channel = pair.Xen.Events.Bind(pair.Guest.Id, port.Port);
            pair.Engine.IsDraining = false;
            var thread = new EngineThread(pair.Engine, channel, "unbound", e => failure = e ?? new InvalidDataException("The ring is corrupt."));
            await thread.StopAsync().WaitAsync(TimeSpan.FromSeconds(60));
            channel.Dispose();
        }

        stop.Cancel();
        await storm;
        Assert.That(failure, Is.Null, "what a thread met that used its channel after its end");
        Assert.That(pair.Xen.Events.Bound, Is.EqualTo(1), "the pair's own");
    }

    [Test]
    public async Task XSA_441_a_port_that_the_guest_closes_with_io_under_way_does_not_keep_the_device_from_closing([Values] bool byTheHost)
    {
        await using var slow = new DelayTarget(new MemoryTarget(1 << 20), TimeSpan.FromMilliseconds(20));
        await using var stage = new Stage(slow);
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            using FrontendQueue queue = stage.OfferRing();
            stage.WriteFe("state", "4");
            await stage.BackendIs(XenbusState.Connected);
            for (int slot = 0; slot < 4; slot++)
                queue.Put(BlkifOperation.Write, slot, 0, 4096);
            queue.Push();
            await Eventually.IsTrue(() => backend.Queues[0].Passes > 0, "the requests are taken");
            queue.Channel.Dispose();

            if (byTheHost)
            {
                await Eventually.Ends(backend.DisposeAsync().AsTask(), "the device is taken away");
            }
            else
            {
                stage.WriteFe("state", "6");
                await stage.BackendIs(XenbusState.Closed);
            }

            Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((0, 0)));
        }

        stage.AssertNothingLeft();
    }

    private static TimeSpan ProcessorTimeOf(string prefix)
    {
        string task = Directory.GetDirectories("/proc/self/task").Single(task => File.ReadAllText(Path.Combine(task, "comm")).StartsWith(prefix, StringComparison.Ordinal));
        long nanoseconds = long.Parse(File.ReadAllText(Path.Combine(task, "schedstat")).Split(' ')[0], CultureInfo.InvariantCulture);
        return TimeSpan.FromMicroseconds(nanoseconds / 1000.0);
    }

    /// <summary>A guest that always notifies, for a time that passes only where it is waited for a wake-up.</summary>
    private sealed class StormyChannel(TimeSpan duration) : IEventChannel
    {
        private readonly SemaphoreSlim _woken = new(0);
        private readonly TaskCompletionSource _passed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private double _left = duration.TotalMilliseconds;

        public int Waits { get; private set; }

        public Task Passed => _passed.Task;

        public bool Wait(int millisecondsTimeout)
        {
            // Nothing has put an end to the storm: it would go on for good.
            if (++Waits > 1_000_000)
                _passed.TrySetResult();
            return !_passed.Task.IsCompleted || _woken.Wait(millisecondsTimeout);
        }

        public bool WaitForWake(int millisecondsTimeout)
        {
            _left -= millisecondsTimeout;
            if (_left > 0)
                return false;
            _passed.TrySetResult();
            return _woken.Wait(Timeout.Infinite);
        }

        public void Notify()
        {
            // Nobody listens.
        }

        public void Wake() => _woken.Release();

        public void Dispose() => _woken.Dispose();
    }
}
