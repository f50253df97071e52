using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

/// <summary>What every target does, read-only ones included. A target passes it by a subclass that says how one is made.</summary>
/// <remarks>Targets that can be written derive from <see cref="WritableTargetContract"/>, which has this in it.</remarks>
internal abstract class BlockTargetContract
{
    /// <summary>The size of the disks that the tests make; not a multiple of 4096.</summary>
    protected const int Length = (1 << 20) + (3 * 512);

    private static readonly byte[] Fresh = Pattern(1, Length);

    /// <summary>Whether the target forgets what it is given, and reads as zeros.</summary>
    protected virtual bool Forgets => false;

    /// <summary>The unit of a vector's length in bytes. Guests' vectors are whole sectors; a target that takes any length says 1.</summary>
    protected virtual int VectorUnit => 512;

    /// <summary>What a vector's address is a multiple of. Guests' vectors start at sectors; a target that takes any says 1.</summary>
    protected virtual int VectorAlignment => 1;

    /// <summary>Makes a target.</summary>
    /// <param name="folder">A folder of its own, which goes after the target.</param>
    /// <param name="content">What is on the disk, and its size.</param>
    protected abstract IBlockTarget Create(string folder, byte[] content);

    /// <summary>Makes a disk of <see cref="Length"/> bytes, none of them zero.</summary>
    protected ContractDisk Open()
    {
        var disk = new ContractDisk(Create, Fresh, VectorAlignment);
        if (Forgets)
            Array.Clear(disk.Content);
        return disk;
    }

    /// <summary>Bytes that tell their place, none of them zero.</summary>
    protected static byte[] Pattern(int seed, int length)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        for (int i = 0; i < length; i++)
            bytes[i] |= 1;
        return bytes;
    }

    [Test]
    public void It_says_of_itself_what_can_be_true()
    {
        using ContractDisk disk = Open();
        BlockTargetInfo info = disk.Info;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(info.LogicalSectorSize, Is.AnyOf(512, 1024, 2048, 4096));
            Assert.That(info.Length, Is.EqualTo(Length));
            Assert.That(info.Length % info.LogicalSectorSize, Is.Zero);
            Assert.That(info.PhysicalSectorSize, Is.GreaterThanOrEqualTo(info.LogicalSectorSize));
            Assert.That(info.PhysicalSectorSize & (info.PhysicalSectorSize - 1), Is.Zero, "a power of two");
            Assert.That(info.MaxDiscardLength, Is.Positive);
            Assert.That(info.MaxDiscardLength % info.LogicalSectorSize, Is.Zero);
            Assert.That(info.DiscardGranularity, Is.Positive);
            Assert.That(info.DiscardGranularity % info.LogicalSectorSize, Is.Zero);
            Assert.That(info.ReadOnly && info.Discard != Capability.None, Is.False, "a read-only disk offers no discard");
            Assert.That(disk.Info, Is.EqualTo(info), "the same each time");
        }

        Assert.That(info.ToRequestLimits().Sectors, Is.EqualTo((ulong)Length / 512));
    }

    [Test]
    public void What_it_says_of_itself_stays_while_a_queue_is_open_but_for_the_length()
    {
        using ContractDisk disk = Open();
        BlockTargetInfo info = disk.Info;
        TargetDriver driver = disk.Drive();
        Assert.That(disk.Info with { Length = info.Length }, Is.EqualTo(info), "with a queue");
        disk.AssertContent(driver);
        Assert.That(disk.Info with { Length = info.Length }, Is.EqualTo(info), "with requests");
        Assert.That(disk.Info.Length % info.LogicalSectorSize, Is.Zero);
    }

    [Test]
    public void What_is_on_it_is_read()
    {
        using ContractDisk disk = Open();
        disk.AssertContent(disk.Drive());
    }

    [Test]
    public void Its_first_and_its_last_sector_are_read()
    {
        using ContractDisk disk = Open();
        TargetDriver driver = disk.Drive();
        int sector = disk.Info.LogicalSectorSize;
        Assert.That(driver.Read(0, sector), Is.EqualTo(disk.Content[..sector]));
        Assert.That(driver.Read(Length - sector, sector), Is.EqualTo(disk.Content[^sector..]));
    }

    [Test]
    public void A_read_fills_many_vectors_in_their_order_and_nothing_around_them()
    {
        using ContractDisk disk = Open();
        TargetDriver driver = disk.Drive();
        foreach (int[] lengths in VectorLengths(disk.Info))
        {
            driver.Lay(3, lengths);
            driver.StartLaid(BlockIoKind.Read, 3, 4096);
            Assert.That(driver.Wait(3), Is.EqualTo(BlockStatus.Okay));
            Assert.That(driver.Gather(3, out bool untouched), Is.EqualTo(disk.Content[4096..(4096 + lengths.Sum())]));
            Assert.That(untouched, Is.True);
        }
    }

    [Test]
    public void Every_slot_may_be_under_way_and_each_is_answered_once([Values(1, 2, 32, 256)] int depth, [Values] bool plugged)
    {
        using ContractDisk disk = Open();
        TargetDriver driver = disk.Drive(depth);
        for (int round = 0; round < 3; round++)
        {
            if (plugged)
                driver.Queue.Plug();
            for (int slot = 0; slot < depth; slot++)
            {
                driver.Buffer(slot)[..4096].Clear();
                driver.Start(BlockIoKind.Read, slot, slot * 4096L, 4096);
            }

            if (plugged)
                driver.Queue.Unplug();
            for (int slot = 0; slot < depth; slot++)
            {
                Assert.That(driver.Wait(slot), Is.EqualTo(BlockStatus.Okay));
                if (!driver.Buffer(slot)[..4096].SequenceEqual(disk.Content.AsSpan(slot * 4096, 4096)))
                    Assert.Fail($"Slot {slot} of {depth} did not read what is there.");
            }
        }
    }

    [Test]
    public void Nothing_is_held_back_for_ever()
    {
        using ContractDisk disk = Open();
        TargetDriver driver = disk.Drive(8);
        driver.Start(BlockIoKind.Read, 0, 0, 4096);
        driver.Queue.Plug();
        Assert.That(driver.Wait(0), Is.EqualTo(BlockStatus.Okay), "what was started before");
        driver.Start(BlockIoKind.Read, 1, 0, 4096);
        driver.Start(BlockIoKind.Read, 2, 0, 4096);
        driver.Queue.Unplug();
        Assert.That(driver.Wait(1), Is.EqualTo(BlockStatus.Okay), "what was held back");
        Assert.That(driver.Wait(2), Is.EqualTo(BlockStatus.Okay), "what was held back");

        driver.Queue.Plug();
        driver.Queue.Unplug();
        Assert.That(driver.Do(BlockIoKind.Read, 0, 4096), Is.EqualTo(BlockStatus.Okay), "what comes after");
    }

    [Test]
    public void Queues_of_two_threads_do_not_disturb_each_other()
    {
        using ContractDisk disk = Open();
        Task.WaitAll([.. Enumerable.Range(0, 2).Select(_ => Task.Factory.StartNew(
            () => disk.AssertContent(disk.Drive(4)), TaskCreationOptions.LongRunning))]);
    }

    [Test]
    public void A_flush_that_is_offered_is_done()
    {
        using ContractDisk disk = Open();
        if (disk.Info.Flush != Capability.None)
            Assert.That(disk.Drive().Do(BlockIoKind.Flush), Is.EqualTo(BlockStatus.Okay));
    }

    [Test]
    public void A_target_that_answers_at_once_allocates_nothing_on_the_thread_that_asks()
    {
        using ContractDisk disk = Open();
        TargetDriver driver = disk.Drive(4);
        bool isReadOnly = disk.Info.ReadOnly;
        Round(driver, 10);
        if (driver.AnsweredLater > 0)
            return;

        // The least of three: now and then the runtime allocates something of its own, once.
        long least = long.MaxValue;
        for (int attempt = 0; attempt < 3 && least > 0; attempt++)
        {
            Round(driver, 2_000);
            long before = GC.GetAllocatedBytesForCurrentThread();
            Round(driver, 2_000);
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.That(least, Is.Zero);

        void Round(TargetDriver driver, int count)
        {
            for (int i = 0; i < count; i++)
            {
                if (driver.Do(BlockIoKind.Read, 4096, 4096) != BlockStatus.Okay)
                    Assert.Fail("A read failed.");
                if (!isReadOnly && driver.Do(BlockIoKind.Write, 8192, 4096) != BlockStatus.Okay)
                    Assert.Fail("A write failed.");
            }
        }
    }

    [Test]
    public void Closing_leaves_no_thread_and_no_open_file_behind()
    {
        using ContractDisk disk = Open();
        TargetDriver driver = disk.Drive();
        for (int slot = 0; slot < driver.Depth; slot++)
            driver.Start(BlockIoKind.Read, slot, 0, 64 * 1024);
        for (int slot = 0; slot < driver.Depth; slot++)
            driver.Wait(slot);

        driver.Dispose();
        Assert.That(driver.Threads.Where(thread => thread.IsAlive).Select(thread => thread.Name), Is.Empty, "threads of the queue");
        disk.Close();
        Assert.That(disk.Folder.OpenFiles(), Is.Empty);
    }

    /// <summary>Vectors of many shapes, each shape with a whole number of sectors in all.</summary>
    protected IEnumerable<int[]> VectorLengths(BlockTargetInfo info)
    {
        int sector = info.LogicalSectorSize;
        yield return [sector];
        yield return [sector, 3 * sector, sector, 7 * sector, 2 * sector];
        yield return [.. Enumerable.Repeat(sector, 11)];
        yield return [.. Enumerable.Repeat(4096, 11)];
        if (VectorUnit == 1)
        {
            yield return [1, sector - 1];
            yield return [17, sector - 18, 1, 4095, 4097, 4095];
        }
    }
}
