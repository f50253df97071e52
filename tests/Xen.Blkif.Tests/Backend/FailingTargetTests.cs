using Xen.Blkif.Backend;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Backend;

[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class FailingTargetTests
{
    [Test]
    public async Task A_target_that_opens_no_queue_closes_its_own_disk_alone()
    {
        var target = new Misbehaving { Open = () => throw new InvalidDataException("the image is broken") };
        await ClosesAlone(target, _ => { }, "serving failed with InvalidDataException: the image is broken");
    }

    [Test]
    public async Task A_target_that_throws_when_it_is_held_back_closes_its_own_disk_alone()
    {
        var target = new Misbehaving { Plugging = () => throw new InvalidOperationException("no plug") };
        await ClosesAlone(
            target,
            queue =>
            {
                Put(queue, 0);
                Put(queue, 1);
                Eventually.IsTrue(() => target.Submitted == 2, "two are under way").GetAwaiter().GetResult();
                Put(queue, 2);
            },
            "serving failed with InvalidOperationException: no plug");
    }

    [Test]
    [Property("Advisory", "XSA-39")]
    public async Task A_ring_whose_indices_are_impossible_closes_its_own_disk_alone(
        [Values(33u, 1000u, 0x8000_0000u, uint.MaxValue)] uint producer)
    {
        await ClosesAlone(
            new Misbehaving { Pending = false },
            queue =>
            {
                SetProducer(queue, producer);
                queue.Channel.Notify();
            },
            "the frontend wrote impossible indices into the ring");
    }

    [Test]
    public async Task A_target_that_throws_when_its_queue_closes_costs_a_line_and_keeps_no_page()
    {
        await using var stage = new Stage(new Misbehaving { Pending = false, Closing = () => throw new InvalidOperationException("stuck") });
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            for (int i = 0; i < 2; i++)
            {
                await using BlkifFrontend frontend = await stage.ConnectAsync();
                frontend.Disk.Write(0, new byte[512]);
            }

            Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((0, 0)));
        }

        stage.AssertNothingLeft();
        Assert.That(stage.Warnings(), Has.Exactly(2).Contains("the target threw when its queue was closed"));
    }

    [Test]
    public async Task A_target_that_throws_at_a_request_fails_the_request_and_keeps_the_disk()
    {
        await using var stage = new Stage(new Misbehaving { Submitting = () => throw new InvalidOperationException("cannot") });
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        Assert.That(() => frontend.Disk.Write(0, new byte[4096]), Throws.InstanceOf<BlkifRequestException>());
        Assert.That(() => frontend.Disk.Write(0, new byte[4096]), Throws.InstanceOf<BlkifRequestException>());
        Assert.That(backend.State, Is.EqualTo(XenbusState.Connected));
    }

    [Test]
    public async Task A_target_that_completes_twice_hears_of_it_and_the_guest_does_not()
    {
        var target = new Misbehaving();
        await using var stage = new Stage(target);
        await using BlockBackend backend = await stage.AttachAsync();
        using FrontendQueue queue = stage.OfferRing();
        stage.WriteFe("state", "4");
        await stage.BackendIs(XenbusState.Connected);
        Put(queue, 0);
        await Eventually.IsTrue(() => target.Submitted == 1, "it is under way");
        target.Completions!.Complete(target.LastSlot, BlockStatus.Okay);
        Assert.That(() => target.Completions.Complete(target.LastSlot, BlockStatus.Okay), Throws.InvalidOperationException);
        await Eventually.IsTrue(() => queue.TryTake(out _), "it is answered");
        Assert.That(backend.Queues[0].Requests, Is.EqualTo(1));
        Assert.That(queue.TryTake(out _), Is.False);
        stage.WriteFe("state", "6");
        await stage.BackendIs(XenbusState.Closed);
    }

    [Test]
    public async Task A_target_whose_description_makes_no_sense_is_not_attached()
    {
        await using var stage = new Stage(new Misbehaving { Describe = () => throw new InvalidOperationException("no size") });
        await Assert.ThatAsync(stage.AttachAsync, Throws.InvalidOperationException.With.Message.EqualTo("no size"));
        stage.AssertNothingLeft();
    }

    [Test]
    public async Task A_target_that_cannot_describe_itself_any_more_closes_its_own_disk_alone()
    {
        bool broken = false;
        var target = new Misbehaving { Pending = false, Describe = () => { if (Volatile.Read(ref broken)) throw new IOException("no size"); } };
        await using var stage = new Stage(target);
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            await using (BlkifFrontend frontend = await stage.ConnectAsync())
            {
                Volatile.Write(ref broken, true);
                await frontend.CloseAsync();
                stage.WriteFe("state", "1");
                await stage.BackendIs(XenbusState.Closing);
            }

            Assert.That(stage.Xen.Store.Read(Stage.Error), Does.Contain("serving failed with IOException: no size"));
            Volatile.Write(ref broken, false);
            stage.WriteFe("state", "6");
            await stage.BackendIs(XenbusState.Closed);
            stage.WriteFe("state", "1");
            await using BlkifFrontend next = await stage.ConnectAsync();
            next.Disk.Write(0, new byte[512]);
        }

        stage.AssertNothingLeft();
    }

    [Test]
    public async Task The_memory_of_requests_that_never_came_back_is_kept_for_good()
    {
        var target = new Misbehaving { Plugging = () => throw new InvalidOperationException("no plug") };
        await using var stage = new Stage(target);
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            FrontendQueue queue = stage.OfferRing();
            stage.WriteFe("state", "4");
            await stage.BackendIs(XenbusState.Connected);
            Put(queue, 0);
            Put(queue, 1);
            await Eventually.IsTrue(() => target.Submitted == 2, "two are under way");
            Put(queue, 2);
            await stage.BackendIs(XenbusState.Closing);
            queue.Dispose();
            stage.WriteFe("state", "6");
            await stage.BackendIs(XenbusState.Closed);
        }

        target.Completions = null;
        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.That(stage.Warnings(), Has.Some.Contains("the memory of requests that never came back is kept"));
        Assert.That(stage.Log.EngineLoggers.Select(logger => logger.IsAlive), Is.EqualTo(new[] { true }), "the engine, which alone has it");
    }

    private static async Task ClosesAlone(Misbehaving target, Action<FrontendQueue> offend, string reason)
    {
        await using var stage = new Stage(target);
        SimulatedGuest neighbour = stage.Xen.CreateGuest(7);
        await using (BlockBackend backend = await stage.AttachAsync())
        await using (BlockBackend neighboursBackend = await BlockBackend.AttachAsync(stage.Xen, 7, "xvda", stage.Disk))
        await using (BlkifFrontend other = await BlkifFrontend.ConnectAsync(neighbour, "xvda"))
        {
            FrontendQueue queue = stage.OfferRing();
            stage.WriteFe("state", "3");
            await stage.BackendIs(target.Open is null ? XenbusState.Connected : XenbusState.Closing);
            offend(queue);
            await stage.BackendIs(XenbusState.Closing);
            Assert.That(stage.Xen.Store.Read(Stage.Error), Does.Contain(reason));
            Assert.That(stage.Warnings(), Has.One.Contains(reason));
            Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((1, 1)), "those of the other disk");
            Stage.DoesIo(other);
            queue.Dispose();

            // With a target that is well again, the disk can be had again.
            target.BecomeWell();
            stage.WriteFe("state", "6");
            await stage.BackendIs(XenbusState.Closed);
            stage.WriteFe("state", "1");
            await using BlkifFrontend frontend = await stage.ConnectAsync();
            frontend.Disk.Write(0, new byte[512]);
        }

        stage.AssertNothingLeft();
    }

    private static void Put(FrontendQueue queue, int slot)
    {
        queue.Put(BlkifOperation.Write, slot, 0, 512);
        queue.Push();
    }

    private static unsafe void SetProducer(FrontendQueue queue, uint value) => Volatile.Write(ref *(uint*)queue.RingAddress, value);

    private sealed class Misbehaving : IBlockTarget
    {
        private int _submitted;

        public Action? Open { get; set; }

        public Action? Plugging { get; set; }

        public Action? Submitting { get; set; }

        public Action? Closing { get; set; }

        public Action? Describe { get; set; }

        public bool Pending { get; set; } = true;

        public int Submitted => Volatile.Read(ref _submitted);

        public int LastSlot { get; private set; }

        public IBlockCompletions? Completions { get; set; }

        public BlockTargetInfo Info
        {
            get
            {
                Describe?.Invoke();
                return new BlockTargetInfo(1 << 20);
            }
        }

        public void BecomeWell()
        {
            Open = Plugging = Submitting = Closing = null;
            Pending = false;
        }

        public IBlockQueue OpenQueue(int depth, IBlockCompletions completions)
        {
            Open?.Invoke();
            Completions = completions;
            return new Queue(this);
        }

        public ValueTask DisposeAsync() => default;

        private sealed class Queue(Misbehaving target) : IBlockQueue
        {
            public BlockStatus Submit(in BlockIo io)
            {
                target.Submitting?.Invoke();
                target.LastSlot = io.Slot;
                Interlocked.Increment(ref target._submitted);
                return target.Pending ? BlockStatus.Pending : BlockStatus.Okay;
            }

            public void Plug() => target.Plugging?.Invoke();

            public void Unplug()
            {
                // Nothing is held back.
            }

            public void Dispose() => target.Closing?.Invoke();
        }
    }
}
