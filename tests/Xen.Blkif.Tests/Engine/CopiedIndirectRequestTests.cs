using Xen.Blkif.Engine;
using Xen.Blkif.Memory;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Engine;

/// <summary>Indirect requests whose data is copied: it lies in pieces of memory, each with the data of 32 segments.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class CopiedIndirectRequestTests
{
    private const int Most = 256;
    private const int DiskLength = 4 << 20;

    private static FrontendOptions Options => new() { Depth = 4, MaxIndirectSegments = Most };

    [Test]
    public void Parts_of_pages_move_both_ways_across_the_borders_of_pieces(
        [Values(32, 33, 64, 65, 255, 256)] int count, [Values(1, 2, 3)] int seed)
    {
        var random = new Random((count * 10) + seed);
        var target = new MemoryTarget(DiskLength);
        using var pair = new QueuePair(target, Options);
        BlkifSegment[] written = Parts(pair.Frontend, 0, count, random);
        random.NextBytes(pair.Frontend.Buffer(0));
        byte[] data = [.. written.SelectMany((part, page) => Of(pair.Frontend, 0, page, part))];
        pair.Frontend.PutIndirect(BlkifOperation.Write, 0, sector: 3, written);
        pair.Run();
        byte[] disk = new byte[data.Length + 512];
        target.CopyTo(3 * 512, disk);
        Assert.That(disk.AsSpan(0, data.Length).SequenceEqual(data), Is.True);
        Assert.That(disk.AsSpan(data.Length).IndexOfAnyExcept((byte)0), Is.EqualTo(-1), "nothing behind it");

        BlkifSegment[] read = [.. written.Select((part, page) => new BlkifSegment(pair.Frontend.GrantOf(1, page), part.FirstSector, part.LastSector))];
        pair.Frontend.Buffer(1).Fill(0xCC);
        pair.Frontend.PutIndirect(BlkifOperation.Read, 1, sector: 3, read);
        pair.Run();
        Assert.That(Statuses(pair), Is.EqualTo(new[] { BlkifStatus.Okay, BlkifStatus.Okay }));
        Assert.That(read.SelectMany((part, page) => Of(pair.Frontend, 1, page, part)), Is.EqualTo(data));
        foreach ((BlkifSegment part, int page) in read.Select((part, page) => (part, page)))
            pair.Frontend.Buffer(1).Slice((page * 4096) + (part.FirstSector * 512), (part.LastSector + 1 - part.FirstSector) * 512).Fill(0xCC);
        Assert.That(pair.Frontend.Buffer(1).IndexOfAnyExcept((byte)0xCC), Is.EqualTo(-1), "nothing beside the parts is touched");
    }

    [TestCase(12, 0, 7, new[] { 12 * 4096 })]
    [TestCase(32, 0, 7, new[] { 131072 })]
    [TestCase(33, 0, 7, new[] { 131072, 4096 })]
    [TestCase(100, 2, 2, new[] { 32 * 512, 32 * 512, 32 * 512, 4 * 512 })]
    [TestCase(256, 0, 7, new[] { 131072, 131072, 131072, 131072, 131072, 131072, 131072, 131072 })]
    public void The_target_sees_one_vector_for_the_data_of_each_32_segments(int count, byte first, byte last, int[] expected)
    {
        int[] lengths = [];
        var target = new ScriptedTarget(DiskLength)
        {
            Answer = io =>
            {
                lengths = [.. io.Vectors.ToArray().Select(vector => (int)vector.Length)];
                return BlockStatus.Okay;
            },
        };
        using var pair = new QueuePair(target, Options);
        pair.Frontend.PutIndirect(BlkifOperation.Write, 0, 0, [.. Enumerable.Range(0, count).Select(page => new BlkifSegment(pair.Frontend.GrantOf(0, page), first, last))]);
        pair.Run();
        Assert.That(lengths, Is.EqualTo(expected));
    }

    [Test]
    public void A_bad_grant_at_either_side_of_a_border_fails_that_request_alone([Values(31, 32, 63, 64, 255)] int bad, [Values] bool write)
    {
        using var pair = new QueuePair(new MemoryTarget(DiskLength), Options);
        BlkifOperation operation = write ? BlkifOperation.Write : BlkifOperation.Read;
        for (int slot = 0; slot < 2; slot++)
        {
            BlkifSegment[] segments = Whole(pair.Frontend, slot, Most);
            if (slot == 0)
                segments[bad] = new BlkifSegment(new(0xFFFF_FFF0), 0, 7);
            pair.Frontend.PutIndirect(operation, slot, (ulong)slot * 2048, segments);
        }

        pair.Run();
        Assert.That(Statuses(pair), Is.EquivalentTo(new[] { BlkifStatus.Error, BlkifStatus.Okay }));
    }

    [Test]
    public void A_request_for_whose_last_piece_there_is_no_memory_fails_and_gives_the_others_back([Range(0, 7)] int pieces)
    {
        int left = int.MaxValue;
        var budget = new MemoryBudget(long.MaxValue);
        using var pair = new QueuePair(new MemoryTarget(DiskLength), Options, configure: settings => settings with
        {
            MemoryBudget = budget,
            MakeBuffer = length => length != 128 << 10 || left-- > 0 ? new NativeBuffer(length) : throw new InsufficientMemoryException(),
        });
        left = pieces;
        for (int round = 0; round < 3; round++)
        {
            pair.Frontend.PutIndirect(BlkifOperation.Write, 0, 0, Whole(pair.Frontend, 0, Most));
            pair.Run();
            Assert.That(Statuses(pair), Is.EqualTo(new[] { BlkifStatus.Error }));
            Assert.That(budget.Used, Is.EqualTo((long)pieces << 17), "what there is serves the next");
        }

        left = int.MaxValue;
        for (int slot = 0; slot < 2; slot++)
            pair.Frontend.PutIndirect(BlkifOperation.Write, slot, 0, Whole(pair.Frontend, slot, Most));
        pair.Run();
        Assert.That(Statuses(pair), Is.EqualTo(new[] { BlkifStatus.Okay, BlkifStatus.Okay }));
        Assert.That(budget.Used, Is.EqualTo(2 << 20));
    }

    private static BlkifSegment[] Whole(FrontendQueue queue, int slot, int count) =>
        [.. Enumerable.Range(0, count).Select(page => new BlkifSegment(queue.GrantOf(slot, page), 0, 7))];

    private static BlkifSegment[] Parts(FrontendQueue queue, int slot, int count, Random random) => [.. Enumerable.Range(0, count).Select(page =>
    {
        int first = random.Next(3) == 0 ? random.Next(8) : 0;
        return new BlkifSegment(queue.GrantOf(slot, page), (byte)first, (byte)(random.Next(3) == 0 ? random.Next(first, 8) : 7));
    })];

    private static byte[] Of(FrontendQueue queue, int slot, int page, BlkifSegment part) =>
        queue.Buffer(slot).Slice((page * 4096) + (part.FirstSector * 512), (part.LastSector + 1 - part.FirstSector) * 512).ToArray();

    private static List<BlkifStatus> Statuses(QueuePair pair)
    {
        var statuses = new List<BlkifStatus>();
        while (pair.Frontend.TryTake(out FrontendCompletion completion))
            statuses.Add(completion.Status);
        return statuses;
    }
}
