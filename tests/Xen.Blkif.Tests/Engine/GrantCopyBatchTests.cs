using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Engine;

[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class GrantCopyBatchTests
{
    private const int Depth = 100;
    private const int RequestLength = 11 * 4096;

    [Test]
    public void A_pass_with_more_pieces_than_one_call_takes_is_copied_in_several([Values] bool oneFails)
    {
        var target = new MemoryTarget(Depth * RequestLength);
        using var pair = new QueuePair(target, new FrontendOptions { RingPageOrder = 2, Depth = Depth, MaxIndirectSegments = 0 });
        for (int slot = 0; slot < Depth; slot++)
        {
            pair.Frontend.Buffer(slot).Fill((byte)(slot + 1));
            BlkifSegment[] segments = [.. Enumerable.Range(0, 11).Select(page => new BlkifSegment(pair.Frontend.GrantOf(slot, page), 0, 7))];
            if (oneFails && slot == 4)
                segments[7] = new BlkifSegment(new GrantReference(0xFFFF_FFF0), 0, 7);
            pair.Frontend.Put(BlkifOperation.Write, (ulong)slot, (ulong)slot * (RequestLength / 512), segments);
        }

        pair.Run();
        int done = 0;
        while (pair.Frontend.TryTake(out FrontendCompletion completion))
        {
            Assert.That(completion.Status == BlkifStatus.Okay, Is.EqualTo(!oneFails || completion.Id != 4), $"request {completion.Id}");
            done++;
        }

        Assert.That((done, pair.Xen.Grants.Copies, pair.Xen.Grants.CopiedSegments), Is.EqualTo((Depth, 2, (Depth * 11) - (oneFails ? 1 : 0))));
        byte[] disk = new byte[Depth * RequestLength];
        target.CopyTo(0, disk);
        for (int slot = 0; slot < Depth; slot++)
        {
            byte expected = (byte)(oneFails && slot == 4 ? 0 : slot + 1);
            Assert.That(disk.AsSpan(slot * RequestLength, RequestLength).IndexOfAnyExcept(expected), Is.EqualTo(-1), $"request {slot}");
        }
    }
}
