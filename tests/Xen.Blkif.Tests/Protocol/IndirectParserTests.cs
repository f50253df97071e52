using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Tests.Protocol;

[TestFixture(typeof(X64Request))]
[TestFixture(typeof(X86Request))]
[Parallelizable(ParallelScope.All)]
public sealed class IndirectParserTests<TRequest>
    where TRequest : unmanaged, IBlkifRequest
{
    private const ulong DiskSectors = 4096;
    private const int Offered = 64;

    private static readonly BlkifSegment WholePage = new(new GrantReference(2), 0, 7);

    [Test]
    public void The_header_says_how_many_segments_to_copy_and_from_where(
        [Values(BlkifOperation.Read, BlkifOperation.Write)] BlkifOperation operation, [Values(1, 11, 12, Offered)] int segments)
    {
        TRequest slot = Indirect(operation, 8, segments);

        Refusal refusal = RequestParser.Parse(ref slot, Disk(), out BlockRequest request);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(refusal, Is.EqualTo(Refusal.None));
            Assert.That(request.AwaitsSegments, Is.True);
            Assert.That(request.SegmentCount, Is.EqualTo(segments));
            Assert.That(slot.IndirectReference, Is.EqualTo(new GrantReference(0xAABBCCDD)));
        }
    }

    [Test]
    public void With_its_segments_it_is_a_read_or_write_like_any_other([Values(BlkifOperation.Read, BlkifOperation.Write)] BlkifOperation operation)
    {
        TRequest slot = Indirect(operation, 16, 13);
        BlkifSegment[] segments = [.. Enumerable.Repeat(WholePage, 12), new BlkifSegment(new GrantReference(1), 3, 5)];

        Refusal refusal = RequestParser.ParseIndirect(ref slot, segments, Disk(), out BlockRequest request);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(refusal, Is.EqualTo(Refusal.None));
            Assert.That(request.Kind, Is.EqualTo(operation == BlkifOperation.Read ? BlockRequestKind.Read : BlockRequestKind.Write));
            Assert.That((request.Sector, request.SectorCount, request.SegmentCount), Is.EqualTo((16UL, (12 * 8) + 3UL, 13)));
            Assert.That(request.AwaitsSegments, Is.False);
        }
    }

    [TestCase(BlkifOperation.Read, 0, Refusal.Empty)]
    [TestCase(BlkifOperation.Read, Offered + 1, Refusal.TooManySegments)]
    [TestCase(BlkifOperation.Write, 512, Refusal.TooManySegments)]
    [TestCase(BlkifOperation.Write, 65535, Refusal.TooManySegments)]
    [TestCase(BlkifOperation.WriteBarrier, 12, Refusal.NoTransfer)]
    [TestCase(BlkifOperation.FlushDiskCache, 12, Refusal.NoTransfer)]
    [TestCase(BlkifOperation.Discard, 12, Refusal.NoTransfer)]
    [TestCase(BlkifOperation.Indirect, 12, Refusal.NoTransfer)]
    [TestCase((BlkifOperation)200, 12, Refusal.NoTransfer)]
    public void A_header_that_no_frontend_may_write_is_refused_in_both_steps(BlkifOperation operation, int segments, Refusal expected)
    {
        TRequest slot = Indirect(operation, 0, segments);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(RequestParser.Parse(ref slot, Disk(), out _), Is.EqualTo(expected));
            Assert.That(RequestParser.ParseIndirect(ref slot, [WholePage], Disk(), out _), Is.EqualTo(expected));
        }
    }

    [Test]
    public void What_is_not_offered_is_unsupported_before_anything_else_is_said_of_it()
    {
        TRequest slot = Indirect(BlkifOperation.Discard, ulong.MaxValue, 65535);

        Assert.That(RequestParser.Parse(ref slot, Disk(offered: 0, readOnly: true), out _), Is.EqualTo(Refusal.UnsupportedOperation));
    }

    [Test]
    public void A_read_only_disk_refuses_the_write_alone()
    {
        TRequest read = Indirect(BlkifOperation.Read, 0, 12), write = Indirect(BlkifOperation.Write, 0, 12);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(RequestParser.Parse(ref read, Disk(readOnly: true), out _), Is.EqualTo(Refusal.None));
            Assert.That(RequestParser.Parse(ref write, Disk(readOnly: true), out _), Is.EqualTo(Refusal.ReadOnly));
        }
    }

    [TestCase(DiskSectors - 96, Refusal.None, Description = "Ends with the disk.")]
    [TestCase(DiskSectors - 95, Refusal.BeyondEnd)]
    [TestCase(1UL << 55, Refusal.BeyondEnd)]
    [TestCase(ulong.MaxValue - 95, Refusal.BeyondEnd, Description = "The end wraps to 0.")]
    [TestCase(ulong.MaxValue, Refusal.BeyondEnd)]
    public void Its_segments_must_end_on_the_disk(ulong sector, Refusal expected)
    {
        TRequest slot = Indirect(BlkifOperation.Read, sector, 12);

        Assert.That(RequestParser.ParseIndirect(ref slot, [.. Enumerable.Repeat(WholePage, 12)], Disk(), out _), Is.EqualTo(expected));
    }

    [TestCase(1, 0, Refusal.SegmentReversed)]
    [TestCase(0, 8, Refusal.SegmentOutsidePage)]
    [TestCase(255, 255, Refusal.SegmentOutsidePage)]
    public void Every_segment_must_run_forwards_inside_its_page(byte first, byte last, Refusal expected)
    {
        TRequest slot = Indirect(BlkifOperation.Write, 0, 20);
        for (int position = 0; position < 20; position++)
        {
            BlkifSegment[] segments = [.. Enumerable.Repeat(WholePage, 20)];
            segments[position] = new BlkifSegment(new GrantReference(1), first, last);
            Assert.That(RequestParser.ParseIndirect(ref slot, segments, Disk(), out _), Is.EqualTo(expected), $"segment {position}");
        }
    }

    [Test]
    public void The_response_names_the_operation_that_was_meant_whatever_it_was()
    {
        for (int operation = 0; operation <= 255; operation++)
        {
            TRequest indirect = Indirect((BlkifOperation)operation, 0, 12);
            Assert.That(RequestParser.OperationToAnswer(ref indirect), Is.EqualTo(operation));
        }

        TRequest direct = default;
        direct.SetTransfer(BlkifOperation.Write, 0, 0, [WholePage]);
        Assert.That(RequestParser.OperationToAnswer(ref direct), Is.EqualTo((byte)BlkifOperation.Write));
    }

    [Test]
    public void A_frontend_writes_it_as_the_header_says()
    {
        // Offsets as in AbiLayoutTests, where C confirms them; written here once more as bytes.
        bool x86 = typeof(TRequest) == typeof(X86Request);
        TRequest slot = Indirect(BlkifOperation.Write, 0x0102030405060708, 300);
        Span<byte> bytes = BytesOf(ref slot);

        Assert.That(bytes[..4].ToArray(), Is.EqualTo(new byte[] { 6, 1, 300 & 0xFF, 300 >> 8 }));
        Assert.That(bytes.Slice(x86 ? 4 : 8, 8).ToArray(), Is.EqualTo(new byte[] { 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11 }));
        Assert.That(bytes.Slice(x86 ? 12 : 16, 8).ToArray(), Is.EqualTo(new byte[] { 8, 7, 6, 5, 4, 3, 2, 1 }));
        Assert.That(bytes.Slice(x86 ? 24 : 28, 4).ToArray(), Is.EqualTo(new byte[] { 0xDD, 0xCC, 0xBB, 0xAA }));
    }

    [Test]
    public void The_parser_changes_no_byte_of_the_copies()
    {
        TRequest slot = Indirect(BlkifOperation.Write, 8, 2);
        byte[] before = BytesOf(ref slot).ToArray();
        BlkifSegment[] segments = [WholePage, WholePage];

        _ = RequestParser.Parse(ref slot, Disk(), out _);
        _ = RequestParser.ParseIndirect(ref slot, segments, Disk(), out _);

        Assert.That(BytesOf(ref slot).ToArray(), Is.EqualTo(before));
        Assert.That(segments, Is.All.EqualTo(WholePage));
    }

    [TestCase(-1)]
    [TestCase(RequestLimits.IndirectSegmentsCeiling + 1)]
    public void A_disk_that_offers_more_than_there_is_room_for_cannot_be_described(int segments) =>
        Assert.That(() => Disk(offered: segments), Throws.InstanceOf<ArgumentOutOfRangeException>());

    [Test]
    public void A_disk_of_another_size_offers_as_much_as_before() => Assert.That(Disk().Resized(8).MaxIndirectSegments, Is.EqualTo(Offered));

    private static RequestLimits Disk(int offered = Offered, bool readOnly = false) => new(DiskSectors, 512, readOnly, flush: true, discard: true, offered);

    private static TRequest Indirect(BlkifOperation operation, ulong sector, int segments)
    {
        TRequest slot = default;
        slot.SetIndirect(operation, 0x1122334455667788, sector, (ushort)segments, new GrantReference(0xAABBCCDD));
        return slot;
    }

    private static Span<byte> BytesOf(ref TRequest slot) => MemoryMarshal.AsBytes(new Span<TRequest>(ref slot));
}
