using Xen.Blkif.IoUring.Queues;
using Xen.Blkif.Memory;
using Xen.Blkif.Targets;
using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.IoUring.Tests;

/// <summary>What a request costs in memory: nothing.</summary>
internal sealed class AllocationTests
{
    private const int Depth = 8;

    [Test]
    public async Task A_queue_that_is_waited_in_allocates_nothing_for_a_request([Values] bool direct)
    {
        using var folder = new TemporaryFolder();
        using var doorbell = new Doorbell();
        await using IoUringTarget target = Ring.Open(folder.AddSparse("disk.img", 1 << 20), new FileTargetOptions { DirectIo = direct });
        var counter = new Counter();
        using IWaitableQueue? queue = target.OpenQueue(Depth, counter, doorbell);
        Assert.That(queue, Is.Not.Null, "the temporary folder is on a disk");
        using var memory = new NativeBuffer(Depth * 4096);
        using var vectors = new NativeBuffer(Depth * 16);
        long least = long.MaxValue;
        for (int attempt = 0; attempt < 4 && least > 0; attempt++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 200; i++)
                Round(queue!, counter, memory, vectors);
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.That(least, Is.Zero);
        Assert.That(counter.Failed, Is.Zero);
    }

    private static unsafe void Round(IWaitableQueue queue, Counter counter, NativeBuffer memory, NativeBuffer vectorMemory)
    {
        IoVector* vectors = (IoVector*)vectorMemory.Start;
        counter.Completed = 0;
        int pending = 0;
        queue.Plug();
        for (int slot = 0; slot < Depth; slot++)
        {
            vectors[slot] = new IoVector((nint)memory.Start + (slot * 4096), 4096);
            BlockIoKind kind = slot % 2 == 0 ? BlockIoKind.Read : BlockIoKind.Write;
            if (queue.Submit(BlockIo.Transfer(kind, slot, slot * 4096, 4096, (nint)(vectors + slot), 1)) == BlockStatus.Pending)
                pending++;
        }

        queue.Unplug();
        while (counter.Completed < pending)
        {
            queue.Wait(10_000);
            queue.Reap();
        }
    }

    private sealed class Counter : IBlockCompletions
    {
        public int Completed { get; set; }

        public int Failed { get; private set; }

        public void Complete(int slot, BlockStatus status)
        {
            Completed++;
            if (status != BlockStatus.Okay)
                Failed++;
        }
    }
}
