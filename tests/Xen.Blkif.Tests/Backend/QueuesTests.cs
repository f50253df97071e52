using Xen.Blkif.Backend;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Backend;

/// <summary>Disks with several queues.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class QueuesTests
{
    [Test]
    public async Task Data_goes_through_every_queue(
        [Values(BlkifProtocol.X64, BlkifProtocol.X86)] BlkifProtocol protocol, [Range(1, 4)] int queues, [Range(0, 4)] int order)
    {
        await using var stage = new Stage();
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            await using (BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { Protocol = protocol, Queues = queues, RingPageOrder = order, Depth = 16 }))
            {
                Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((queues << order, queues)));
                Assert.That((backend.Connection!.QueueCount, backend.Connection.RingPages), Is.EqualTo((queues, 1 << order)));
                Assert.That(backend.Connection.EventChannels, Is.EqualTo(frontend.Queues.Select(queue => queue.Channel.Port)));

                // Each through a queue of its own, all at once; then what one has written, read through another one.
                byte[][] written = await Task.WhenAll(frontend.Disks.Select((disk, i) => Task.Run(() => Write(disk, i))));
                for (int i = 0; i < queues; i++)
                {
                    byte[] read = new byte[Share];
                    frontend.Disks[(i + 1) % queues].Read(i * Share, read);
                    Assert.That(read.AsSpan().SequenceEqual(written[i]), Is.True, $"what queue {i} has written");
                }

                Assert.That(backend.Queues.Select(queue => (queue.Writes.Bytes, queue.Reads.Bytes, queue.Flushes.Done)), Is.All.EqualTo((Share, Share, 1)));
            }

            Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound, stage.Guest.GrantedPages), Is.EqualTo((0, 0, 0)));
        }

        stage.AssertNothingLeft();
        Assert.That(stage.Warnings(), Is.Empty);
    }

    [Test]
    public async Task A_driver_that_counts_its_one_queue_has_it_where_the_others_have_it()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        using FrontendQueue queue = stage.OfferRing();
        stage.WriteFe("multi-queue-num-queues", "1");
        stage.WriteFe("queue-0/ring-ref", "a leftover");
        stage.WriteFe("state", "4");
        await stage.BackendIs(XenbusState.Connected);
        await ReadsThrough(queue);
        await LetGo(stage);
    }

    [Test]
    public async Task Every_queue_learns_of_a_new_size()
    {
        var disk = new ElasticTarget(1 << 20, 2 << 20);
        await using var stage = new Stage(disk);
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { Queues = 3 });
        disk.Length = 2 << 20;
        backend.RefreshSize();
        await Eventually.IsTrue(() => stage.ReadBe("sectors") == "4096", "the guest is told");
        foreach (FrontendDisk queue in frontend.Disks)
            queue.Write((2 << 20) - 512, new byte[512]);
    }

    [Test]
    public async Task All_queues_have_answered_what_was_under_way_before_the_device_says_that_it_has_closed()
    {
        await using var slow = new DelayTarget(new NullTarget(1 << 20), TimeSpan.FromMilliseconds(20));
        await using var stage = new Stage(slow);
        await using BlockBackend backend = await stage.AttachAsync();
        FrontendQueue[] queues = stage.OfferRings(4);
        stage.WriteFe("state", "4");
        await stage.BackendIs(XenbusState.Connected);
        foreach (FrontendQueue queue in queues)
            PutReads(queue);
        await Eventually.IsTrue(() => backend.Queues.All(queue => queue.Passes > 0), "all have taken requests");

        stage.WriteFe("state", "6");
        await stage.BackendIs(XenbusState.Closed);
        Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((0, 0)));
        foreach (FrontendQueue queue in queues)
        {
            for (int i = 0; i < queue.Depth; i++)
                Assert.That(queue.TryTake(out _), Is.True, "an answer that was shown before");
            queue.Dispose();
        }
    }

    [Test]
    public async Task One_ring_whose_indices_are_impossible_closes_the_disk_with_all_its_queues([Range(0, 2)] int bad)
    {
        await using var stage = new Stage();
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            FrontendQueue[] queues = stage.OfferRings(3);
            stage.WriteFe("state", "4");
            await stage.BackendIs(XenbusState.Connected);
            Corrupt(queues[bad]);
            await IsRefused(stage, $"the frontend wrote impossible indices into the ring of queue {bad}");
            Release(queues);
            await stage.LetGoAndConnectProperly();
        }

        stage.AssertNothingLeft();
    }

    [Test]
    public async Task Rings_that_are_all_corrupt_close_the_disk_once()
    {
        await using var stage = new Stage();
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            FrontendQueue[] queues = stage.OfferRings(4);
            foreach (FrontendQueue queue in queues)
                Corrupt(queue);
            stage.WriteFe("state", "4");
            await IsRefused(stage, "the frontend wrote impossible indices into the ring of queue");
            Release(queues);
            await stage.LetGoAndConnectProperly();
        }

        stage.AssertNothingLeft();
    }

    private static IEnumerable<TestCaseData> BadKeys()
    {
        foreach ((string key, string? value, string reason) in new[]
                 {
                     ("ring-ref", "8000", "The grant reference 8000 of domain 5 cannot be mapped"), ("event-channel", "4000", "Port 4000 of domain 5 cannot be bound to"),
                     ("ring-ref", "x", "ring-ref is 'x', which is not a number"), ("event-channel", "-1", "event-channel is '-1', which is not a number"),
                     ("ring-ref", null, "ring-ref"), ("event-channel", (string?)null, "event-channel"),
                 })
        {
            for (int queue = 0; queue < 3; queue++)
                yield return new TestCaseData(queue, key, value, value is null ? $"the frontend wrote no queue-{queue}/{reason}" : reason);
        }
    }

    [TestCaseSource(nameof(BadKeys))]
    public async Task A_queue_that_cannot_be_connected_leaves_none_connected_and_no_request_served(int bad, string key, string? value, string reason)
    {
        await using var stage = new Stage();
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            FrontendQueue[] queues = stage.OfferRings(3);
            foreach (FrontendQueue queue in queues)
                PutReads(queue);
            if (value is null)
                stage.Guest.Store.Remove($"{Stage.Fe}/queue-{bad}/{key}");
            else
                stage.WriteFe($"queue-{bad}/{key}", value);
            stage.WriteFe("state", "3");
            await IsRefused(stage, reason);
            Assert.That(queues.Select(queue => queue.TryTake(out _)), Is.All.False);
            Release(queues);
            await stage.LetGoAndConnectProperly();
        }

        stage.AssertNothingLeft();
    }

    [Test]
    public async Task A_target_that_opens_no_further_queue_leaves_none_connected([Range(0, 2)] int bad)
    {
        var target = new FewQueues(bad);
        await using var stage = new Stage(target);
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            FrontendQueue[] queues = stage.OfferRings(3);
            stage.WriteFe("state", "4");
            await IsRefused(stage, "serving failed with InvalidOperationException: no further queue");
            Assert.That(target.Open, Is.Zero);
            Release(queues);
            target.Most = 1;
            await stage.LetGoAndConnectProperly();
        }

        stage.AssertNothingLeft();
    }

    [Test]
    public async Task A_port_of_two_queues_is_refused()
    {
        await using var stage = new Stage();
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            FrontendQueue[] queues = stage.OfferRings(2);
            stage.WriteFe("queue-1/event-channel", $"{queues[0].Channel.Port}");
            stage.WriteFe("state", "4");
            await IsRefused(stage, "it is bound already");
            Release(queues);
            await stage.LetGoAndConnectProperly();
        }

        stage.AssertNothingLeft();
    }

    [Test]
    public async Task A_ring_of_two_queues_harms_nobody()
    {
        await using var stage = new Stage();
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            FrontendQueue[] queues = stage.OfferRings(2);
            stage.WriteFe("queue-1/ring-ref", queues[0].RingReferences[0].ToString());
            stage.WriteFe("state", "4");
            await stage.BackendIs(XenbusState.Connected);
            PutReads(queues[0]);
            queues[1].Channel.Notify();
            await Eventually.IsTrue(() => backend.Queues.Sum(queue => queue.Requests) >= queues[0].Depth, "all are answered, some of them twice");
            await LetGo(stage);
            Release(queues);
            await stage.LetGoAndConnectProperly();
        }

        stage.AssertNothingLeft();
    }

    [TestCase(1)]
    [TestCase(2)]
    public async Task A_guest_that_flips_its_states_and_its_queues_at_random_with_io_under_way_harms_nothing(int seed)
    {
        const int Flips = 1_000;
        string[] states = ["1", "2", "3", "4", "5", "6", "3", "4", "3", "4", "", "abc", "99"];
        string[] counts = ["0", "1", "2", "3", "4", "5", "abc"];
        var random = new Random(seed);
        await using var slow = new DelayTarget(new MemoryTarget(1 << 20), TimeSpan.FromMilliseconds(0.2));
        await using var stage = new Stage(slow);
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            FrontendQueue[] queues = stage.OfferRings(3);
            HashSet<int> seen = [];
            for (int flip = 0; flip < Flips; flip++)
            {
                if (random.Next(15) == 0)
                    stage.WriteFe("multi-queue-num-queues", counts[random.Next(counts.Length)]);
                stage.WriteFe("state", states[random.Next(states.Length)]);
                foreach (FrontendQueue queue in queues)
                    Work(queue, random);
                seen.Add(backend.Connection?.QueueCount ?? 0);

                if (random.Next(15) == 0)
                {
                    stage.WriteFe("state", "6");
                    await stage.BackendIs(XenbusState.Closed);
                    stage.WriteFe("state", "1");
                    await stage.BackendIs(XenbusState.InitWait); // closed it may have been for long, and about to open what came after that
                    Release(queues);
                    queues = stage.OfferRings(random.Next(1, 5), new FrontendOptions { Protocol = BlkifProtocol.X64, Depth = 8, RingPageOrder = random.Next(3) });
                    stage.WriteFe("state", "3");
                    await Eventually.IsTrue(() => backend.Connection is not null, "a guest that asks properly is connected");
                }

                if (random.Next(10) == 0)
                    await Task.Delay(1);
            }

            Assert.That(seen, Has.Count.GreaterThan(3), "numbers of queues that were connected, and none");
            await LetGo(stage);
            Release(queues);
            await stage.LetGoAndConnectProperly();
        }

        stage.AssertNothingLeft();
    }

    private const long Share = 256 << 10;

    private static byte[] Write(FrontendDisk disk, int i)
    {
        byte[] written = new byte[Share];
        new Random(i).NextBytes(written);
        disk.Write(i * Share, written);
        disk.Flush();
        return written;
    }

    private static void Work(FrontendQueue queue, Random random)
    {
        while (queue.TryTake(out _))
        {
            // Only that they come matters.
        }

        for (int i = random.Next(4); i > 0 && queue.Free > 0; i--)
            queue.Put(BlkifOperation.Write, random.Next(queue.Depth), (ulong)random.Next(2000), 512 * random.Next(1, 48));
        queue.Push();
    }

    private static void PutReads(FrontendQueue queue)
    {
        for (int slot = 0; slot < queue.Depth; slot++)
            queue.Put(BlkifOperation.Read, slot, 0, 512);
        queue.Push();
    }

    private static async Task ReadsThrough(FrontendQueue queue)
    {
        queue.Put(BlkifOperation.Read, 0, 0, 512);
        queue.Push();
        FrontendCompletion completion = default;
        await Eventually.IsTrue(() => queue.TryTake(out completion), "a response came");
        Assert.That(completion.Status, Is.EqualTo(BlkifStatus.Okay));
    }

    // More requests than there can be.
    private static unsafe void Corrupt(FrontendQueue queue)
    {
        Volatile.Write(ref *(uint*)queue.RingAddress, 1000);
        queue.Channel.Notify();
    }

    private static async Task IsRefused(Stage stage, string reason)
    {
        await stage.BackendIs(XenbusState.Closing);
        Assert.That(stage.Xen.Store.Read(Stage.Error), Does.Contain(reason));
        Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((0, 0)));
        Assert.That(stage.Warnings(), Has.One.Contains(reason));
    }

    private static async Task LetGo(Stage stage)
    {
        stage.WriteFe("state", "6");
        await stage.BackendIs(XenbusState.Closed);
        Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((0, 0)));
    }

    private static void Release(FrontendQueue[] queues)
    {
        foreach (FrontendQueue queue in queues)
            queue.Dispose();
    }

    /// <summary>A target that has storage for so many queues at once.</summary>
    private sealed class FewQueues(int most) : IBlockTarget
    {
        private readonly MemoryTarget _disk = new(1 << 20);
        private int _open;

        public int Most { get; set; } = most;

        public int Open => Volatile.Read(ref _open);

        public BlockTargetInfo Info => _disk.Info;

        public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) =>
            Interlocked.Increment(ref _open) <= Most
                ? new Queue(this, _disk.OpenQueue(depth, completions))
                : throw Refuse();

        public ValueTask DisposeAsync() => _disk.DisposeAsync();

        private InvalidOperationException Refuse()
        {
            Interlocked.Decrement(ref _open);
            return new InvalidOperationException("no further queue");
        }

        private sealed class Queue(FewQueues target, IBlockQueue queue) : IBlockQueue
        {
            public BlockStatus Submit(in BlockIo io) => queue.Submit(io);

            public void Plug() => queue.Plug();

            public void Unplug() => queue.Unplug();

            public void Dispose()
            {
                queue.Dispose();
                Interlocked.Decrement(ref target._open);
            }
        }
    }
}
