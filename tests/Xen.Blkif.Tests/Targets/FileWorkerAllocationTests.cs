using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

/// <summary>What the worker threads allocate, which only the whole process can tell.</summary>
[NonParallelizable]
internal sealed class FileWorkerAllocationTests
{
    [TestCase(1)]
    [TestCase(4)]
    [TestCase(16)]
    public async Task Workers_allocate_nothing_for_a_request(int workers)
    {
        const int Requests = 20_000;
        using var folder = new TemporaryFolder();
        await using FileTarget disk = FileTarget.Open(folder.AddSparse("disk.img", 1 << 20), new FileTargetOptions { Workers = workers });
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

    private static void Round(TargetDriver driver, int requests)
    {
        for (int i = 0; i < requests; i += driver.Depth)
        {
            driver.Queue.Plug();
            for (int slot = 0; slot < driver.Depth; slot++)
                driver.Start(slot % 2 == 0 ? BlockIoKind.Read : BlockIoKind.Write, slot, slot * 4096, 4096);
            driver.Queue.Unplug();
            for (int slot = 0; slot < driver.Depth; slot++)
                driver.Wait(slot);
        }
    }
}
