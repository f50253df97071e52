using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

/// <summary>What sectors smaller than the storage's allocate, which only the whole process can tell.</summary>
[NonParallelizable]
internal sealed class SectorAllocationTests
{
    [Test]
    public async Task A_write_to_a_part_of_a_block_allocates_nothing()
    {
        const int Requests = 20_000;
        await using var disk = new Emulated512Target(new MemoryTarget(1 << 20, 4096));
        using var driver = new TargetDriver(disk, depth: 64);
        Round(driver, Requests);

        // The least of three: now and then the test platform allocates something of its own.
        double least = double.MaxValue;
        for (int attempt = 0; attempt < 3; attempt++)
        {
            long before = GC.GetTotalAllocatedBytes(precise: true);
            Round(driver, Requests);
            least = Math.Min(least, (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)Requests);
        }

        Assert.That(least, Is.LessThan(1), "bytes a request");
    }

    // Neighbours, so that some wait for others.
    private static void Round(TargetDriver driver, int requests)
    {
        for (int i = 0; i < requests; i += driver.Depth)
        {
            for (int slot = 0; slot < driver.Depth; slot++)
                driver.Start(slot % 4 == 0 ? BlockIoKind.Read : BlockIoKind.Write, slot, slot * 1536, 1536);
            for (int slot = 0; slot < driver.Depth; slot++)
                driver.Wait(slot);
        }
    }
}
