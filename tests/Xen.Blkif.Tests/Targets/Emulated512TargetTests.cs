using System.Globalization;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

/// <summary>Sectors of 512 bytes on a disk that has none smaller than 4096.</summary>
internal sealed class Emulated512TargetTests
{
    private const int Block = WholeBlocks.Block;

    [Test]
    public async Task The_guest_sees_sectors_of_512_in_physical_ones_of_4096()
    {
        await using var disk = new Emulated512Target(new MemoryTarget(1 << 20, Block));
        BlockTargetInfo info = disk.Info;
        Assert.That(
            (info.LogicalSectorSize, info.PhysicalSectorSize, info.DiscardGranularity, info.Length), Is.EqualTo((512, 4096, 4096, 1L << 20)));
    }

    [Test]
    public async Task A_disk_that_has_sectors_of_512_is_passed_through()
    {
        var inner = new MemoryTarget(1 << 20);
        await using var disk = new Emulated512Target(inner);
        Assert.That(disk.Info, Is.EqualTo(inner.Info));
        using var driver = new TargetDriver(disk);
        driver.Write(512, new byte[512]);
        Assert.That(driver.AnsweredLater, Is.Zero);
    }

    [Test]
    public async Task Writers_on_neighbouring_sectors_never_lose_each_others_bytes_though_the_disk_fails_at_random(
        [Values(1, 2, 5)] int queues, [Values(0, 60)] int failuresInAThousand)
    {
        int seed = Environment.GetEnvironmentVariable("XEN_BLKIF_TARGET_SEED") is { Length: > 0 } text
            ? int.Parse(text, CultureInfo.InvariantCulture)
            : Random.Shared.Next();
        TestContext.Out.WriteLine($"XEN_BLKIF_TARGET_SEED={seed.ToString(CultureInfo.InvariantCulture)} repeats these writers.");
        const int Requests = 3_000;
        var random = new Random(seed);
        byte[] content = new byte[12 * Block];
        random.NextBytes(content);
        int[] owners = Runs(content.Length / 512, queues, random);

        await using var inner = new WholeBlocks(content, seed, failuresInAThousand);
        var disk = new Emulated512Target(inner);
        Task<NeighbourWriter>[] writers = [.. Enumerable.Range(0, queues).Select(number => Task.Factory.StartNew(
            () =>
            {
                using var driver = new TargetDriver(disk, depth: 8);
                var writer = new NeighbourWriter(driver, number, owners, content, seed + number);
                writer.Run(Requests);
                return writer;
            },
            TaskCreationOptions.LongRunning))];
        NeighbourWriter[] done = await Task.WhenAll(writers);

        byte[] left = inner.Content();
        foreach (NeighbourWriter writer in done)
            writer.Compare(left);
        Assert.That(inner.Violations, Is.Zero, "parts of blocks, or two writes to one block at once");
        Assert.That(done.Sum(writer => writer.Failures), failuresInAThousand == 0 ? Is.Zero : Is.Positive);
    }

    [TestCase(BlockIoKind.Read)]
    [TestCase(BlockIoKind.Write)]
    public async Task A_block_that_cannot_be_read_or_written_fails_that_request_alone_and_leaves_the_neighbours(BlockIoKind failing)
    {
        byte[] content = new byte[4 * Block];
        new Random(1).NextBytes(content);
        var memory = new MemoryTarget(content.Length, Block);
        memory.CopyFrom(0, content);
        bool armed = true;
        await using var disk = new Emulated512Target(new FaultTarget(
            memory, (in BlockIo io) => armed && io.Kind == failing && io.Offset == Block ? BlockStatus.Error : BlockStatus.Okay));
        using var driver = new TargetDriver(disk);

        Assert.That(driver.Do(BlockIoKind.Write, Block + 512, 512), Is.EqualTo(BlockStatus.Error));
        armed = false;
        Assert.That(driver.Read(0, content.Length), Is.EqualTo(content));
        driver.Buffer(1)[..512].Fill(7);
        driver.Start(BlockIoKind.Write, 1, Block + 1024, 512);
        Assert.That(driver.Wait(1), Is.EqualTo(BlockStatus.Okay), "the block is not left to the one that failed");
        content.AsSpan(Block + 1024, 512).Fill(7);
        Assert.That(driver.Read(0, content.Length), Is.EqualTo(content));
    }

    [Test]
    public async Task Reads_pass_a_write_that_is_under_way_and_writes_to_other_blocks_do_too()
    {
        using var gate = new ManualResetEventSlim();
        await using var inner = new HeldTarget(4 * Block, io => io.Kind == BlockIoKind.Write && io.Offset == 0, gate);
        using var driver = new TargetDriver(new Emulated512Target(inner));
        driver.Start(BlockIoKind.Write, 0, 512, 512);
        driver.Start(BlockIoKind.Write, 1, 1024, 512);
        driver.Start(BlockIoKind.Write, 2, 0, Block);
        driver.Start(BlockIoKind.Read, 3, 512, 512);
        driver.Start(BlockIoKind.Write, 4, Block + 512, 512);
        driver.Start(BlockIoKind.Write, 5, 2 * Block, Block);
        foreach (int slot in new[] { 3, 4, 5 })
            Assert.That(driver.Wait(slot), Is.EqualTo(BlockStatus.Okay));
        Assert.That(inner.Writes(0), Is.LessThanOrEqualTo(1), "the others wait for the first");
        gate.Set();
        foreach (int slot in new[] { 0, 1, 2 })
            Assert.That(driver.Wait(slot), Is.EqualTo(BlockStatus.Okay));
        Assert.That(inner.Writes(0), Is.EqualTo(3));
    }

    [Test]
    public async Task A_discard_takes_the_whole_blocks_inside_it_and_a_sector_written_afterwards_has_zeros_beside_it()
    {
        byte[] content = new byte[4 * Block];
        new Random(1).NextBytes(content);
        var memory = new MemoryTarget(content.Length, Block);
        memory.CopyFrom(0, content);
        await using var disk = new Emulated512Target(memory);
        using var driver = new TargetDriver(disk);

        driver.StartDiscard(0, Block - 512, Block + 1024);
        Assert.That(driver.Wait(0), Is.EqualTo(BlockStatus.Okay));
        content.AsSpan(Block, Block).Clear();
        Assert.That(driver.Read(0, content.Length), Is.EqualTo(content));

        driver.Write(Block + 512, content.AsSpan(0, 512));
        content.AsSpan(0, 512).CopyTo(content.AsSpan(Block + 512));
        Assert.That(driver.Read(0, content.Length), Is.EqualTo(content));

        driver.StartDiscard(0, 512, Block - 512);
        Assert.That(driver.Wait(0), Is.EqualTo(BlockStatus.Okay), "no whole block: nothing to do");
        Assert.That(driver.Read(0, content.Length), Is.EqualTo(content));
    }

    [Test]
    public async Task A_target_that_throws_fails_the_request_and_holds_up_no_other([Values(512, Block)] int length)
    {
        bool throws = true;
        await using var disk = new Emulated512Target(new FaultTarget(
            new MemoryTarget(4 * Block, Block),
            (in BlockIo io) => throws && io.Kind == BlockIoKind.Write ? throw new InvalidOperationException("bug") : BlockStatus.Okay));
        using var driver = new TargetDriver(disk);
        if (length == Block)
            Assert.That(() => driver.Queue.Submit(BlockIo.Transfer(BlockIoKind.Write, 9, 0, Block, 0, 0)), Throws.InvalidOperationException);
        else
            Assert.That(driver.Do(BlockIoKind.Write, 0, length), Is.EqualTo(BlockStatus.Error));
        throws = false;
        driver.Write(512, new byte[512]);
    }

    // Runs of sectors that start and end anywhere, so that blocks have several owners and some owners whole blocks.
    private static int[] Runs(int sectors, int owners, Random random)
    {
        int[] result = new int[sectors];
        for (int first = 0; first < sectors;)
        {
            int owner = random.Next(owners);
            for (int left = random.Next(3) == 0 ? random.Next(8, 30) : random.Next(1, 5); left > 0 && first < sectors; left--)
                result[first++] = owner;
        }

        // Each has something to write.
        for (int owner = 0; owner < owners; owner++)
            result[owner] = owner;
        return result;
    }

    /// <summary>A disk of which chosen requests wait until a gate opens, each on a thread of its own.</summary>
    private sealed class HeldTarget(int length, Predicate<BlockIo> isHeld, ManualResetEventSlim gate) : IBlockTarget
    {
        private readonly MemoryTarget _memory = new(length, Block);
        private readonly List<long> _writes = [];

        public BlockTargetInfo Info => _memory.Info;

        public int Writes(long offset)
        {
            lock (_writes)
                return _writes.Count(write => write == offset);
        }

        public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) => new Queue(this, _memory.OpenQueue(depth, completions), completions);

        public ValueTask DisposeAsync() => _memory.DisposeAsync();

        private sealed class Queue(HeldTarget target, IBlockQueue memory, IBlockCompletions completions) : IBlockQueue
        {
            public BlockStatus Submit(in BlockIo io)
            {
                if (io.Kind == BlockIoKind.Write)
                {
                    lock (target._writes)
                        target._writes.Add(io.Offset);
                }

                if (!target.IsHeld(io))
                    return memory.Submit(io);
                BlockIo held = io;
                new Thread(() =>
                {
                    target.WaitForGate();
                    completions.Complete(held.Slot, memory.Submit(held));
                }).Start();
                return BlockStatus.Pending;
            }

            public void Plug() => memory.Plug();

            public void Unplug() => memory.Unplug();

            public void Dispose() => memory.Dispose();
        }

        private bool IsHeld(in BlockIo io) => isHeld(io);

        private void WaitForGate() => gate.Wait(10_000);
    }
}
