using System.Globalization;
using Xen.Blkif.Backend;
using Xen.Blkif.Engine;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Hostile;

/// <summary>What a guest can do to its backend with the ring alone: nothing, but lose its own disk.</summary>
internal sealed class HostileFrontendTests
{
    private static TimeSpan Duration { get; } = TimeSpan.FromSeconds(
        double.Parse(Environment.GetEnvironmentVariable("XEN_BLKIF_HOSTILE_SECONDS") ?? "10", CultureInfo.InvariantCulture));

    [Test]
    public async Task Random_writes_into_the_ring_harm_neither_the_process_nor_another_device([Range(1, 10)] int seed)
    {
        TestContext.Out.WriteLine($"seed {seed}");
        using var xen = new SimulatedXen();
        using SimulatedGuest villain = xen.CreateGuest(1, 1024);
        using SimulatedGuest neighbour = xen.CreateGuest(2, 2048);

        // Its requests are answered at once, or by other threads, or late.
        string image = Path.GetTempFileName();
        await File.WriteAllBytesAsync(image, new byte[1 << 20]);
        await using IBlockTarget disk = (seed % 4) switch
        {
            0 => new MemoryTarget(1 << 20),
            1 => FileTarget.Open(image),
            2 => new DelayTarget(new MemoryTarget(1 << 20), TimeSpan.FromMilliseconds(1)),
            _ => new FaultTarget(new MemoryTarget(1 << 20), (in BlockIo io) => io.Offset % 16384 == 0 ? BlockStatus.Error : BlockStatus.Okay),
        };
        await using var other = new MemoryTarget(1 << 20);
        var impatient = new BackendOptions
        {
            DetachTimeout = TimeSpan.FromSeconds(0.1),
            GuestMemory = (GuestMemoryAccess)(seed % 3),
            MaxPersistentGrants = 16, // fewer than it has, so that some have to go
            PersistentGrantTimeout = TimeSpan.FromMilliseconds(20),
        };
        long requests = 0, done = 0;
        await using (BlockBackend attacked = await BlockBackend.AttachAsync(xen, villain.Id, "xvda", disk, impatient))
        await using (BlockBackend served = await BlockBackend.AttachAsync(xen, neighbour.Id, "xvda", other))
        {
            var hostile = new HostileGuest(xen, villain, "xvda", seed, () =>
            {
                QueueStatistics queue = attacked.Queues[0];
                requests += queue.Requests;
                done += queue.Reads.Done + queue.Writes.Done + queue.Flushes.Done + queue.Discards.Done;
            });
            await using BlkifFrontend honest = await BlkifFrontend.ConnectAsync(neighbour, "xvda");

            using var stop = new CancellationTokenSource(Duration);
            Task misbehaving = Task.Factory.StartNew(() => hostile.Misbehave(stop.Token), TaskCreationOptions.LongRunning);
            Task<long> working = Task.Factory.StartNew(() => WorkAndVerify(honest.Disk, seed, stop.Token), TaskCreationOptions.LongRunning);
            await Task.WhenAll(misbehaving, working).WaitAsync(Duration + TimeSpan.FromSeconds(60));

            TestContext.Out.WriteLine(
                $"{hostile.Protocol}: connected {hostile.Connections} times, {requests} requests, {done} of them done; the neighbour did {working.Result} rounds");
            Assert.That(done, Is.GreaterThan(0), "some of its requests have to be honest enough to get far");
            Assert.That(requests - done, Is.GreaterThan(0));
            Assert.That(working.Result, Is.GreaterThan(0));
            Assert.That(hostile.Untouchable(), Is.Empty, "pages that were never granted, or for reading only");
            Assert.That(attacked.Completion.IsCompleted, Is.False, "its device is there to connect to again");
        }

        File.Delete(image);
        Assert.That(xen.Grants.MappedPages, Is.Zero);
        Assert.That(xen.Events.Bound, Is.Zero);
        Assert.That(xen.Store.Watches, Is.Zero);
    }

    private static long WorkAndVerify(FrontendDisk disk, int seed, CancellationToken stop)
    {
        var random = new Random(-seed);
        byte[] written = new byte[32 * 4096];
        byte[] read = new byte[written.Length];
        long rounds = 0;
        while (!stop.IsCancellationRequested)
        {
            long offset = random.Next(2048 - (written.Length / 512)) * (long)BlkifLimits.SectorSize;
            random.NextBytes(written);
            disk.Write(offset, written);
            disk.Read(offset, read);
            if (!read.AsSpan().SequenceEqual(written))
                throw new InvalidDataException($"The neighbour read back something else at byte {offset}.");
            rounds++;
        }

        return rounds;
    }
}
