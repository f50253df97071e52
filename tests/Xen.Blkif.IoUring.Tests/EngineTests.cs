using Xen.Blkif.Backend;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;
using Xen.Blkif.Tests.Backend;
using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.IoUring.Tests;

/// <summary>A whole disk, from a guest's driver to a file, whose engines wait in the ring.</summary>
internal sealed class EngineTests
{
    private const int Guest = 5;
    private const int Length = 4 << 20;

    [Test]
    public async Task Data_goes_through_every_queue_and_comes_back([Values] bool direct, [Values(1, 3)] int queues)
    {
        await using var stage = await RingStage.OpenAsync(new FileTargetOptions { DirectIo = direct }, new FrontendOptions { Queues = queues });
        byte[][] written = await Task.WhenAll(stage.Frontend.Disks.Select((disk, i) => Task.Run(() => Fill(disk, i))));
        for (int i = 0; i < queues; i++)
        {
            byte[] read = new byte[written[i].Length];
            stage.Frontend.Disks[(i + 1) % queues].Read(i * (1 << 20), read);
            Assert.That(read.AsSpan().SequenceEqual(written[i]), Is.True, $"what queue {i} has written");
        }
    }

    [Test]
    public async Task Results_that_the_waiting_thread_takes_itself_ring_no_bell()
    {
        await using var stage = await RingStage.OpenAsync(new FileTargetOptions { DirectIo = true });
        byte[] block = new byte[4096];
        for (int i = 0; i < 200; i++)
            stage.Frontend.Disk.Read(i * 4096, block);
        DescriptorChannel channel = stage.Xen.Channels.Single();
        Assert.That(channel.Wakes, Is.Zero);
        Assert.That(channel.Events, Is.InRange(1, 250));
        Assert.That(stage.Backend.Queues[0].Reads.Done, Is.EqualTo(200));
    }

    [Test]
    public async Task A_discard_makes_a_hole_that_reads_as_zeros()
    {
        await using var stage = await RingStage.OpenAsync(new FileTargetOptions());
        if (!stage.Frontend.HasDiscard)
            Assert.Ignore("ignored: this file system punches no holes");
        Fill(stage.Frontend.Disk, 0);
        stage.Frontend.Disk.Discard(8192, 65536);
        byte[] read = new byte[65536];
        stage.Frontend.Disk.Read(8192, read);
        Assert.That(read, Is.All.Zero);
    }

    [Test]
    public async Task A_guest_that_storms_its_event_channel_is_served_when_it_asks()
    {
        await using var stage = await RingStage.OpenAsync(new FileTargetOptions { DirectIo = true });
        using var stop = new CancellationTokenSource();
        Task storm = Task.Factory.StartNew(
            () =>
            {
                while (!stop.IsCancellationRequested)
                    stage.Frontend.Queue.Channel.Notify();
            },
            TaskCreationOptions.LongRunning);
        DescriptorChannel channel = stage.Xen.Channels.Single();
        await Eventually.IsTrue(() => channel.Events > 12, "the storm has begun");
        byte[] block = new byte[4096];
        for (int i = 0; i < 5; i++)
            stage.Frontend.Disk.Read(i * 4096, block);

        // Left to itself, the storm comes down to ten events a second.
        await Task.Delay(500);
        int before = channel.Events;
        await Task.Delay(1000);
        Assert.That(channel.Events - before, Is.LessThan(30));
        await Eventually.Ends(stage.Frontend.CloseAsync(), "a pause is ended by the wish to stop");
        stop.Cancel();
        await storm;
    }

    [Test]
    public async Task A_guest_may_connect_again_and_again()
    {
        await using var stage = await RingStage.OpenAsync(new FileTargetOptions());
        for (int i = 0; i < 10; i++)
        {
            Fill(stage.Frontend.Disk, 0);
            await stage.ReconnectAsync();
        }

        Assert.That(stage.Xen.Channels, Has.Count.EqualTo(11));
    }

    [Test]
    public async Task What_a_guest_has_under_way_when_it_dies_holds_nothing_up()
    {
        await using var stage = await RingStage.OpenAsync(new FileTargetOptions { DirectIo = true });
        for (int slot = 0; slot < 16; slot++)
            stage.Frontend.Queue.Put(Protocol.BlkifOperation.Read, slot, (ulong)slot * 8, 4096);
        stage.Frontend.Queue.Push();
        stage.DestroyGuest();
        await Eventually.Ends(stage.Backend.Completion, "the disk of a guest that is gone");
    }

    private static byte[] Fill(FrontendDisk disk, int part)
    {
        byte[] bytes = new byte[1 << 20];
        new Random(part).NextBytes(bytes);
        disk.Write(part * bytes.Length, bytes);
        disk.Flush();
        return bytes;
    }

    /// <summary>A guest, its driver and its disk.</summary>
    private sealed class RingStage : IAsyncDisposable
    {
        private readonly TemporaryFolder _folder = new();
        private readonly SimulatedXen _xen = new();
        private readonly SimulatedGuest _guest;
        private readonly IoUringTarget _target;
        private readonly FrontendOptions? _frontend;
        private bool _destroyed;

        private RingStage(FileTargetOptions options, FrontendOptions? frontend)
        {
                _frontend = frontend;
            _guest = _xen.CreateGuest(Guest);
            Xen = new DescriptorXen(_xen);
            _target = Ring.Open(_folder.AddSparse("disk.img", Length), options);
        }

        public DescriptorXen Xen { get; }

        public BlockBackend Backend { get; private set; } = null!;

        public BlkifFrontend Frontend { get; private set; } = null!;

        public static async Task<RingStage> OpenAsync(FileTargetOptions options, FrontendOptions? frontend = null)
        {
            var stage = new RingStage(options, frontend);
            stage.Backend = await BlockBackend.AttachAsync(stage.Xen, Guest, "xvda", stage._target, new BackendOptions { MaxQueues = 4 });
            stage.Frontend = await BlkifFrontend.ConnectAsync(stage._guest, "xvda", frontend);
            return stage;
        }

        public async Task ReconnectAsync()
        {
            await Frontend.CloseAsync();
            await Frontend.DisposeAsync();
            Frontend = await BlkifFrontend.ConnectAsync(_guest, "xvda", _frontend);
        }

        public void DestroyGuest()
        {
            _destroyed = true;
            _xen.DestroyGuest(Guest);
        }

        public async ValueTask DisposeAsync()
        {
            if (!_destroyed)
                await Frontend.DisposeAsync();
            await Backend.DisposeAsync();
            await _target.DisposeAsync();
            _xen.Dispose();
            _folder.Dispose();
        }
    }
}
