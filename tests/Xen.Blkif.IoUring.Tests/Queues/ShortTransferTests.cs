using Xen.Blkif.IoUring.Kernel;
using Xen.Blkif.Targets;

namespace Xen.Blkif.IoUring.Tests.Queues;

/// <summary>A kernel that transfers as little as it likes: every byte arrives all the same, once and in its place.</summary>
internal sealed unsafe class ShortTransferTests
{
    private const int Disk = 32 * 1024;

    private static readonly int[][] Shapes = [[4096], [512, 512], [512, 1536, 1024], [4096, 512, 4096, 512, 8192], [1, 2, 3, 4, 5, 6, 7]];

    [Test]
    public void Transfers_in_pieces_come_together([Values(BlockIoKind.Read, BlockIoKind.Write)] BlockIoKind kind, [ValueSource(nameof(Shapes))] int[] shape, [Values(1, 511, 512, 5000)] int most)
    {
        var random = new Random(most);
        byte[] disk = new byte[Disk];
        random.NextBytes(disk);
        byte[] before = (byte[])disk.Clone();
        var ring = new FakeRing();
        ring.OnTaken = entry => ring.Say(entry.Name, Transfer(entry, disk, random.Next(1, most + 1)));
        using var bench = new Bench(ring);
        int length = shape.Sum();
        random.NextBytes(bench.Buffer(2)[..length]);
        byte[] data = bench.Buffer(2)[..length].ToArray();

        bench.Start(kind, 2, 1024, shape);
        for (int i = 0; i < 2 * length && bench.Answers.Count == 0; i++)
            bench.Queue.Reap();

        Assert.That(bench.Answers, Is.EqualTo(new[] { (2, BlockStatus.Okay) }));
        Assert.That(ring.Taken.Select(entry => entry.Offset), Is.Ordered.And.Unique, "each goes on where the last ended");
        if (kind == BlockIoKind.Write)
            data.CopyTo(before, 1024);
        Assert.That(disk, Is.EqualTo(before));
        Assert.That(bench.Buffer(2)[..length].ToArray(), Is.EqualTo(kind == BlockIoKind.Write ? data : before[1024..(1024 + length)]));
    }

    [Test]
    public void Many_pieces_are_one_entry_and_one_piece_is_the_plain_operation()
    {
        var ring = new FakeRing();
        using var bench = new Bench(ring);
        bench.Start(BlockIoKind.Read, 0, 0, 512, 512);
        bench.Start(BlockIoKind.Write, 1, 0, 512, 512);
        bench.Start(BlockIoKind.Read, 2, 0, 512);
        bench.Start(BlockIoKind.Write, 3, 0, 512);
        Assert.That(
            ring.Taken.Select(entry => (entry.Operation, entry.Length)),
            Is.EqualTo(new[] { (Operation.ReadMany, 2u), (Operation.WriteMany, 2u), (Operation.Read, 512u), (Operation.Write, 512u) }));
    }

    private static int Transfer(in SubmissionEntry entry, byte[] disk, int most)
    {
        bool isRead = entry.Operation is Operation.Read or Operation.ReadMany;
        IoVector one = new((nint)entry.Address, (nint)entry.Length);
        ReadOnlySpan<IoVector> vectors = entry.Operation is Operation.Read or Operation.Write
            ? new ReadOnlySpan<IoVector>(in one)
            : new ReadOnlySpan<IoVector>((void*)entry.Address, (int)entry.Length);
        int done = 0;
        foreach (IoVector vector in vectors)
        {
            int part = Math.Min((int)vector.Length, most - done);
            Span<byte> there = disk.AsSpan((int)entry.Offset + done, part);
            if (isRead)
                there.CopyTo(vector.Span);
            else
                vector.Span[..part].CopyTo(there);
            done += part;
        }

        return done;
    }
}
