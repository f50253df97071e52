using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Security;

/// <summary>What frontends that trust no backend (XSA-376, XSA-391, XSA-396, XSA-403) hold against one.</summary>
[TestFixture(BlkifProtocol.X64)]
[TestFixture(BlkifProtocol.X86)]
internal sealed class FrontendTests(BlkifProtocol protocol)
{
    private const int Rounds = 2_000;

    [Test]
    public void XSA_391_there_is_no_notification_without_a_response_and_each_response_is_that_of_a_request()
    {
        var random = new Random(1);
        using var pair = new QueuePair(
            new FaultTarget(new MemoryTarget(1 << 20), (in BlockIo io) => io.Slot % 5 == 0 ? BlockStatus.Error : BlockStatus.Okay), new FrontendOptions { Protocol = protocol });
        FrontendQueue queue = pair.Frontend;
        queue.Channel.Wait(0);
        var waiting = new Dictionary<ulong, BlkifOperation>();
        for (int round = 0; round < Rounds; round++)
        {
            for (int count = random.Next(6); count > 0; count--)
            {
                ulong id = (ulong)random.NextInt64() << 1;
                var operation = (BlkifOperation)random.Next(8);
                waiting.Add(id, operation);
                queue.Put(operation, id, (ulong)random.Next(4096), [new BlkifSegment(queue.GrantOf(0, 0), 0, (byte)random.Next(10))]);
            }

            pair.Run();
            int responses = 0;
            while (queue.TryTake(out FrontendCompletion response))
            {
                responses++;
                Assert.That(waiting.Remove(response.Id, out BlkifOperation asked), Is.True, "an id that was asked for, and answered once");

                // An indirect request is answered as what it means, which is a write where others have the number of their segments: 1.
                Assert.That(response.Operation, Is.EqualTo(asked == BlkifOperation.Indirect ? BlkifOperation.Write : asked));
            }

            Assert.That(queue.Channel.Wait(0) && responses == 0, Is.False, "a notification of nothing");
            Assert.That(queue.IsCorrupt, Is.False);
            queue.Wait(0);
        }

        Assert.That(waiting, Is.Empty);
    }

    [Test]
    public void XSA_396_a_page_is_neither_mapped_nor_written_once_its_request_is_answered()
    {
        var random = new Random(1);
        using var pair = new QueuePair(new MemoryTarget(1 << 20), new FrontendOptions { Protocol = protocol, Depth = 2 });
        FrontendQueue queue = pair.Frontend;
        int page = FirstPageOf(pair, slot: 1);
        for (int round = 0; round < Rounds; round++)
        {
            GrantReference[] grants = [.. Enumerable.Range(page, 4).Select(p => pair.Guest.Grant(p, 0, writable: true))];
            var operation = random.Next(2) == 0 ? BlkifOperation.Read : BlkifOperation.Write;
            queue.Put(operation, 1, (ulong)random.Next(2000), [.. grants.Select(grant => new BlkifSegment(grant, 0, (byte)random.Next(8)))]);
            queue.Put(BlkifOperation.FlushDiskCache, 2, 0, []);
            queue.Push();
            while (!queue.TryTake(out _))
                pair.Engine.RunPass();

            Assert.That(grants.All(pair.Guest.TryRevoke), Is.True, "unmapped before the answer");
            FillWith(pair, page, 0xC5);
            pair.Run();
            Assert.That(AllAre(pair, page, 0xC5), Is.True);
            while (queue.TryTake(out _))
            {
                // The flush.
            }
        }
    }

    private static unsafe int FirstPageOf(QueuePair pair, int slot)
    {
        fixed (byte* first = pair.Frontend.Buffer(slot))
            return (int)(((nint)first - pair.Guest.AddressOf(0)) / XenPage.Size);
    }

    private static unsafe void FillWith(QueuePair pair, int page, byte value) => new Span<byte>((void*)pair.Guest.AddressOf(page), 4 * XenPage.Size).Fill(value);

    private static unsafe bool AllAre(QueuePair pair, int page, byte value) =>
        new ReadOnlySpan<byte>((void*)pair.Guest.AddressOf(page), 4 * XenPage.Size).IndexOfAnyExcept(value) < 0;
}
