using System.Globalization;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

/// <summary>What every target does that can be written.</summary>
internal abstract class WritableTargetContract : BlockTargetContract
{
    private const string SeedVariable = "XEN_BLKIF_TARGET_SEED";

    [Test]
    public void What_is_written_is_read_back_and_its_neighbours_stay()
    {
        using ContractDisk disk = Open();
        TargetDriver driver = disk.Drive();
        Write(disk, driver, 3 * 4096, Pattern(2, 5 * 512));
        disk.AssertContent(driver);
    }

    [Test]
    public void Its_first_and_its_last_sector_are_written()
    {
        using ContractDisk disk = Open();
        TargetDriver driver = disk.Drive();
        int sector = disk.Info.LogicalSectorSize;
        Write(disk, driver, 0, Pattern(3, sector));
        Write(disk, driver, Length - sector, Pattern(4, sector));
        disk.AssertContent(driver);
        Assert.That(disk.Info.Length, Is.EqualTo(Length), "it does not grow");
    }

    [Test]
    public void A_write_takes_many_vectors_in_their_order()
    {
        using ContractDisk disk = Open();
        TargetDriver driver = disk.Drive();
        foreach (int[] lengths in VectorLengths(disk.Info))
        {
            byte[] bytes = Pattern(lengths.Length, lengths.Sum());
            driver.Lay(5, lengths);
            driver.Scatter(5, bytes);
            driver.StartLaid(BlockIoKind.Write, 5, 8192);
            Assert.That(driver.Wait(5), Is.EqualTo(BlockStatus.Okay));
            Assert.That(driver.Gather(5, out bool untouched), Is.EqualTo(bytes), "a write leaves its vectors as they are");
            Assert.That(untouched, Is.True);
            Remember(disk, 8192, bytes);
            disk.AssertContent(driver);
        }
    }

    [Test]
    public void Writes_of_every_slot_at_once_all_arrive([Values] bool plugged)
    {
        using ContractDisk disk = Open();
        TargetDriver driver = disk.Drive(64);
        if (plugged)
            driver.Queue.Plug();
        for (int slot = 0; slot < driver.Depth; slot++)
        {
            byte[] bytes = Pattern(slot, 4096);
            bytes.CopyTo(driver.Buffer(slot));
            Remember(disk, slot * 8192, bytes);
            driver.Start(BlockIoKind.Write, slot, slot * 8192, 4096);
        }

        if (plugged)
            driver.Queue.Unplug();
        for (int slot = 0; slot < driver.Depth; slot++)
            Assert.That(driver.Wait(slot), Is.EqualTo(BlockStatus.Okay));
        disk.AssertContent(driver);
    }

    [Test]
    public void What_one_queue_has_written_another_reads()
    {
        using ContractDisk disk = Open();
        Write(disk, disk.Drive(), 4096, Pattern(6, 4096));
        Assert.That(disk.Drive().Read(4096, 4096), Is.EqualTo(disk.Content[4096..8192]));
    }

    [Test]
    public void Two_threads_write_through_queues_of_their_own()
    {
        using ContractDisk disk = Open();
        Task.WaitAll([.. Enumerable.Range(0, 2).Select(half => Task.Factory.StartNew(
            () =>
            {
                TargetDriver driver = disk.Drive(4);
                for (int i = 0; i < 50; i++)
                {
                    int offset = (half * (512 * 1024)) + (i * 4096);
                    Write(disk, driver, offset, Pattern(offset, 8192));
                    if (!driver.Read(offset, 8192).AsSpan().SequenceEqual(disk.Content.AsSpan(offset, 8192)))
                        Assert.Fail($"What was written at {offset} was not read back.");
                }
            },
            TaskCreationOptions.LongRunning))]);
        disk.AssertContent(disk.Drive());
    }

    [TestCase(4096, 8192)]
    [TestCase(4096 + 512, 512)]
    [TestCase(512, 64 * 1024)]
    [TestCase(Length - 512, 512)]
    public void A_discarded_range_reads_as_zeros_or_as_before_and_its_neighbours_stay(int offset, int length)
    {
        using ContractDisk disk = Open();
        if (disk.Info.Discard != Capability.None)
            Discard(disk, disk.Drive(), offset, length);
    }

    [Test]
    public void A_discard_may_be_as_long_as_the_target_says_or_the_whole_disk()
    {
        using ContractDisk disk = Open();
        if (disk.Info.Discard == Capability.None)
            return;

        TargetDriver driver = disk.Drive();
        int length = (int)Math.Min(disk.Info.MaxDiscardLength, Length);
        Discard(disk, driver, Length - length, length);
        Write(disk, driver, Length - length, Pattern(7, 4096));
        disk.AssertContent(driver, "a discarded range can be written again");
    }

    [Test]
    public void A_random_walk_goes_as_on_an_array_of_bytes()
    {
        int seed = Environment.GetEnvironmentVariable(SeedVariable) is { Length: > 0 } text
            ? int.Parse(text, CultureInfo.InvariantCulture)
            : Random.Shared.Next();
        TestContext.Out.WriteLine($"{SeedVariable}={seed.ToString(CultureInfo.InvariantCulture)} repeats this walk.");

        using ContractDisk disk = Open();
        var walk = new RandomWalk(disk, disk.Drive(16), new Random(seed), Forgets);
        walk.Run(steps: 800);
        disk.AssertContent(disk.Drive(), $"after the walk of seed {seed}");
    }

    private void Write(ContractDisk disk, TargetDriver driver, int offset, byte[] bytes)
    {
        driver.Write(offset, bytes);
        Remember(disk, offset, bytes);
    }

    private void Remember(ContractDisk disk, int offset, byte[] bytes)
    {
        if (!Forgets)
            bytes.CopyTo(disk.Content, offset);
    }

    private static void Discard(ContractDisk disk, TargetDriver driver, int offset, int length)
    {
        driver.StartDiscard(0, offset, length);
        Assert.That(driver.Wait(0), Is.EqualTo(BlockStatus.Okay));
        byte[] range = driver.Read(offset, length);
        Assert.That(RandomWalk.IsGone(range, disk.Content.AsSpan(offset, length)), Is.True, "zeros, or as before");
        range.CopyTo(disk.Content, offset);
        disk.AssertContent(driver, "the neighbours");
    }
}
