using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Tests.Protocol;

[TestFixture(typeof(X64Request))]
[TestFixture(typeof(X86Request))]
[Parallelizable(ParallelScope.All)]
public sealed class RequestParserTests<TRequest>
    where TRequest : unmanaged, IBlkifRequest
{
    private const ulong DiskSectors = 1000;
    private const ulong PastByteRange = 1UL << 55; // times 512 it is 0 modulo 2^64

    private static readonly BlkifSegment OneSector = new(new GrantReference(1), 0, 0);
    private static readonly BlkifSegment WholePage = new(new GrantReference(2), 0, 7);

    [Test]
    public void A_read_or_write_inside_the_disk_is_taken(
        [Values(BlkifOperation.Read, BlkifOperation.Write)] BlkifOperation operation, [Range(1, 11)] int segments)
    {
        TRequest slot = Transfer(operation, 8, [.. Enumerable.Repeat(WholePage, segments)]);

        Refusal refusal = RequestParser.Parse(ref slot, Disk(), out BlockRequest request);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(refusal, Is.EqualTo(Refusal.None));
            Assert.That(request.Kind, Is.EqualTo(operation == BlkifOperation.Read ? BlockRequestKind.Read : BlockRequestKind.Write));
            Assert.That(request.Sector, Is.EqualTo(8));
            Assert.That(request.SectorCount, Is.EqualTo((ulong)segments * 8));
            Assert.That(request.SegmentCount, Is.EqualTo(segments));
        }
    }

    [Test]
    public void The_sectors_of_all_segments_add_up()
    {
        TRequest slot = Transfer(BlkifOperation.Read, 0, WholePage, OneSector, new BlkifSegment(new GrantReference(3), 3, 5), OneSector);

        _ = RequestParser.Parse(ref slot, Disk(), out BlockRequest request);

        Assert.That(request.SectorCount, Is.EqualTo(8 + 1 + 3 + 1));
    }

    [TestCase(BlkifOperation.Read, 0, Refusal.Empty)]
    [TestCase(BlkifOperation.Write, 0, Refusal.Empty)]
    [TestCase(BlkifOperation.Read, 12, Refusal.TooManySegments)]
    [TestCase(BlkifOperation.Write, 12, Refusal.TooManySegments)]
    [TestCase(BlkifOperation.FlushDiskCache, 12, Refusal.TooManySegments)]
    [TestCase(BlkifOperation.Read, 255, Refusal.TooManySegments)]
    [TestCase(BlkifOperation.Write, 255, Refusal.TooManySegments)]
    [TestCase(BlkifOperation.FlushDiskCache, 255, Refusal.TooManySegments)]
    public void A_transfer_of_no_segments_or_too_many_is_refused(BlkifOperation operation, byte segments, Refusal expected)
    {
        TRequest slot = Transfer(operation, 0, [.. Enumerable.Repeat(OneSector, 11)]);
        BytesOf(ref slot)[1] = segments;

        Assert.That(Parse(slot, Disk()), Is.EqualTo(expected));
    }

    [TestCase(0, 0, Refusal.None)]
    [TestCase(0, 7, Refusal.None)]
    [TestCase(7, 7, Refusal.None)]
    [TestCase(1, 0, Refusal.SegmentReversed)]
    [TestCase(7, 6, Refusal.SegmentReversed)]
    [TestCase(8, 7, Refusal.SegmentReversed)]
    [TestCase(255, 0, Refusal.SegmentReversed)]
    [TestCase(0, 8, Refusal.SegmentOutsidePage)]
    [TestCase(8, 8, Refusal.SegmentOutsidePage)]
    [TestCase(9, 8, Refusal.SegmentOutsidePage)]
    [TestCase(0, 255, Refusal.SegmentOutsidePage)]
    [TestCase(255, 255, Refusal.SegmentOutsidePage)]
    public void A_segment_must_run_forwards_inside_its_page(byte first, byte last, Refusal expected)
    {
        var segment = new BlkifSegment(new GrantReference(1), first, last);

        using (Assert.EnterMultipleScope())
        {
            foreach (BlkifOperation operation in new[] { BlkifOperation.Read, BlkifOperation.Write, BlkifOperation.FlushDiskCache })
            {
                Assert.That(Parse(Transfer(operation, 0, segment), Disk()), Is.EqualTo(expected), $"{operation}, first of one");
                Assert.That(
                    Parse(Transfer(operation, 0, [.. Enumerable.Repeat(OneSector, 10), segment]), Disk()),
                    Is.EqualTo(expected),
                    $"{operation}, last of eleven");
            }
        }
    }

    [Test]
    public void Segments_beyond_the_count_are_not_looked_at()
    {
        TRequest slot = Transfer(BlkifOperation.Read, 0, OneSector, new BlkifSegment(new GrantReference(1), 200, 100));
        BytesOf(ref slot)[1] = 1;

        Assert.That(Parse(slot, Disk()), Is.EqualTo(Refusal.None));
    }

    [TestCase(DiskSectors - 8, Refusal.None, Description = "Ends with the disk.")]
    [TestCase(DiskSectors - 7, Refusal.BeyondEnd)]
    [TestCase(DiskSectors - 1, Refusal.BeyondEnd)]
    [TestCase(DiskSectors, Refusal.BeyondEnd)]
    [TestCase(DiskSectors + 1, Refusal.BeyondEnd)]
    [TestCase(PastByteRange, Refusal.BeyondEnd)]
    [TestCase(PastByteRange - 1, Refusal.BeyondEnd)]
    [TestCase(PastByteRange - 8, Refusal.BeyondEnd)]
    [TestCase(1UL << 63, Refusal.BeyondEnd)]
    [TestCase(ulong.MaxValue - 8, Refusal.BeyondEnd)]
    [TestCase(ulong.MaxValue - 7, Refusal.BeyondEnd, Description = "The end wraps to 0.")]
    [TestCase(ulong.MaxValue - 6, Refusal.BeyondEnd)]
    [TestCase(ulong.MaxValue, Refusal.BeyondEnd)]
    [Property("Advisory", "CVE-2008-0928")]
    public void A_transfer_or_discard_of_eight_sectors_must_end_on_the_disk(ulong sector, Refusal expected)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Parse(Transfer(BlkifOperation.Read, sector, WholePage), Disk()), Is.EqualTo(expected));
            Assert.That(Parse(Transfer(BlkifOperation.Write, sector, WholePage), Disk()), Is.EqualTo(expected));
            Assert.That(Parse(Transfer(BlkifOperation.FlushDiskCache, sector, WholePage), Disk()), Is.EqualTo(expected));
            Assert.That(Parse(Discard(sector, 8), Disk()), Is.EqualTo(expected));
        }
    }

    [Test]
    public void Nothing_can_be_read_from_a_disk_without_sectors() =>
        Assert.That(Parse(Transfer(BlkifOperation.Read, 0, OneSector), Disk(sectors: 0)), Is.EqualTo(Refusal.BeyondEnd));

    [Test]
    public void The_last_sector_of_the_largest_disk_there_can_be_is_read() =>
        Assert.That(Parse(Transfer(BlkifOperation.Read, ulong.MaxValue - 1, OneSector), Disk(sectors: ulong.MaxValue)), Is.EqualTo(Refusal.None));

    [TestCase(512, 1)]
    [TestCase(1024, 2)]
    [TestCase(2048, 4)]
    [TestCase(4096, 8)]
    public void Start_and_every_segment_must_be_multiples_of_the_logical_sector(int sectorSize, int sectors)
    {
        RequestLimits disk = Disk(sectorSize: sectorSize);

        using (Assert.EnterMultipleScope())
        {
            for (int start = 0; start <= 8; start++)
            {
                Refusal expected = start % sectors == 0 ? Refusal.None : Refusal.Misaligned;
                Assert.That(Parse(Transfer(BlkifOperation.Read, (ulong)start, WholePage), disk), Is.EqualTo(expected), $"read from {start}");
                Assert.That(Parse(Discard((ulong)start, 8), disk), Is.EqualTo(expected), $"discard from {start}");
            }

            for (int count = 1; count <= 8; count++)
            {
                Refusal expected = count % sectors == 0 ? Refusal.None : Refusal.Misaligned;
                var segment = new BlkifSegment(new GrantReference(1), 0, (byte)(count - 1));
                Assert.That(Parse(Transfer(BlkifOperation.Write, 0, segment), disk), Is.EqualTo(expected), $"write of {count}");
                Assert.That(Parse(Discard(0, (ulong)count), disk), Is.EqualTo(expected), $"discard of {count}");
            }
        }
    }

    [Test]
    public void Segments_that_are_only_together_a_multiple_of_the_logical_sector_are_refused()
    {
        var half = new BlkifSegment(new GrantReference(1), 0, 3);

        Assert.That(Parse(Transfer(BlkifOperation.Read, 0, half, half), Disk(sectorSize: 4096)), Is.EqualTo(Refusal.Misaligned));
    }

    [TestCase(0)]
    [TestCase(256)]
    [TestCase(513)]
    [TestCase(8192)]
    [TestCase(-512)]
    public void A_disk_with_another_logical_sector_size_cannot_be_described(int sectorSize) =>
        Assert.That(() => Disk(sectorSize: sectorSize), Throws.InstanceOf<ArgumentOutOfRangeException>());

    [Test]
    [Property("Advisory", "CVE-2013-2140")]
    public void A_read_only_disk_refuses_what_would_change_it_and_takes_the_rest()
    {
        RequestLimits disk = Disk(readOnly: true);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Parse(Transfer(BlkifOperation.Read, 0, OneSector), disk), Is.EqualTo(Refusal.None));
            Assert.That(Parse(Transfer(BlkifOperation.FlushDiskCache, 0), disk), Is.EqualTo(Refusal.None));
            Assert.That(Parse(Transfer(BlkifOperation.Write, 0, OneSector), disk), Is.EqualTo(Refusal.ReadOnly));
            Assert.That(Parse(Transfer(BlkifOperation.FlushDiskCache, 0, OneSector), disk), Is.EqualTo(Refusal.ReadOnly));
            Assert.That(Parse(Discard(0, 8), disk), Is.EqualTo(Refusal.ReadOnly));
        }
    }

    [TestCase(0UL)]
    [TestCase(DiskSectors)]
    [TestCase(ulong.MaxValue)]
    public void A_flush_alone_names_no_sectors_whatever_its_sector_number(ulong sector)
    {
        TRequest slot = Transfer(BlkifOperation.FlushDiskCache, sector);

        Refusal refusal = RequestParser.Parse(ref slot, Disk(sectorSize: 4096), out BlockRequest request);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(refusal, Is.EqualTo(Refusal.None));
            Assert.That(request.Kind, Is.EqualTo(BlockRequestKind.Flush));
            Assert.That(request.Sector, Is.Zero);
            Assert.That(request.SectorCount, Is.Zero);
            Assert.That(request.SegmentCount, Is.Zero);
        }
    }

    [Test]
    public void A_flush_with_data_writes_afterwards()
    {
        TRequest slot = Transfer(BlkifOperation.FlushDiskCache, 16, WholePage, OneSector);

        Refusal refusal = RequestParser.Parse(ref slot, Disk(), out BlockRequest request);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(refusal, Is.EqualTo(Refusal.None));
            Assert.That(request.Kind, Is.EqualTo(BlockRequestKind.FlushThenWrite));
            Assert.That(request.Sector, Is.EqualTo(16));
            Assert.That(request.SectorCount, Is.EqualTo(9));
            Assert.That(request.SegmentCount, Is.EqualTo(2));
        }
    }

    [TestCase(0UL, DiskSectors, Refusal.None, Description = "All of the disk.")]
    [TestCase(DiskSectors - 1, 1UL, Refusal.None)]
    [TestCase(0UL, 0UL, Refusal.Empty)]
    [TestCase(ulong.MaxValue, 0UL, Refusal.Empty)]
    [TestCase(0UL, DiskSectors + 1, Refusal.BeyondEnd)]
    [TestCase(1UL, DiskSectors, Refusal.BeyondEnd)]
    [TestCase(DiskSectors, 1UL, Refusal.BeyondEnd)]
    [TestCase(1UL, ulong.MaxValue, Refusal.BeyondEnd, Description = "The end wraps to 0.")]
    [TestCase(8UL, ulong.MaxValue - 7, Refusal.BeyondEnd)]
    [TestCase(0UL, PastByteRange, Refusal.BeyondEnd)]
    [TestCase(PastByteRange, PastByteRange, Refusal.BeyondEnd)]
    public void A_discard_must_name_sectors_of_the_disk(ulong sector, ulong count, Refusal expected)
    {
        TRequest slot = Discard(sector, count);

        Refusal refusal = RequestParser.Parse(ref slot, Disk(), out BlockRequest request);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(refusal, Is.EqualTo(expected));
            if (expected == Refusal.None)
            {
                Assert.That(request.Kind, Is.EqualTo(BlockRequestKind.Discard));
                Assert.That(request.Sector, Is.EqualTo(sector));
                Assert.That(request.SectorCount, Is.EqualTo(count));
                Assert.That(request.SegmentCount, Is.Zero);
            }
        }
    }

    [Test]
    public void The_flag_of_a_discard_is_not_taken_for_a_number_of_segments()
    {
        TRequest slot = Discard(0, 8, flags: 254);

        Assert.That(Parse(slot, Disk()), Is.EqualTo(Refusal.None));
    }

    [Test]
    public void What_the_disk_does_not_offer_is_unsupported_before_anything_else_is_said_of_it([Values] bool readOnly)
    {
        RequestLimits disk = Disk(readOnly: readOnly, flush: false, discard: false);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Parse(Transfer(BlkifOperation.FlushDiskCache, 0), disk), Is.EqualTo(Refusal.UnsupportedOperation));
            Assert.That(Parse(Transfer(BlkifOperation.FlushDiskCache, ulong.MaxValue, OneSector), disk), Is.EqualTo(Refusal.UnsupportedOperation));
            Assert.That(Parse(Discard(ulong.MaxValue, 0), disk), Is.EqualTo(Refusal.UnsupportedOperation));
        }
    }

    [TestCase(BlkifOperation.WriteBarrier)]
    [TestCase(BlkifOperation.Reserved)]
    [TestCase(BlkifOperation.Indirect)]
    public void An_operation_of_the_protocol_that_is_not_served_is_unsupported(BlkifOperation operation) =>
        Assert.That(Parse(Transfer(operation, 0, OneSector), Disk()), Is.EqualTo(Refusal.UnsupportedOperation));

    [Test]
    public void An_operation_that_is_none_of_the_protocols_is_unknown()
    {
        using (Assert.EnterMultipleScope())
        {
            for (int operation = 7; operation <= 255; operation++)
                Assert.That(Parse(Transfer((BlkifOperation)operation, 0, OneSector), Disk()), Is.EqualTo(Refusal.UnknownOperation), $"{operation}");
        }
    }

    [TestCase(Refusal.None, BlkifStatus.Okay)]
    [TestCase(Refusal.UnknownOperation, BlkifStatus.NotSupported)]
    [TestCase(Refusal.UnsupportedOperation, BlkifStatus.NotSupported)]
    [TestCase(Refusal.ReadOnly, BlkifStatus.Error)]
    [TestCase(Refusal.Empty, BlkifStatus.Error)]
    [TestCase(Refusal.TooManySegments, BlkifStatus.Error)]
    [TestCase(Refusal.NoTransfer, BlkifStatus.Error)]
    [TestCase(Refusal.SegmentReversed, BlkifStatus.Error)]
    [TestCase(Refusal.SegmentOutsidePage, BlkifStatus.Error)]
    [TestCase(Refusal.Misaligned, BlkifStatus.Error)]
    [TestCase(Refusal.BeyondEnd, BlkifStatus.Error)]
    public void A_refusal_is_told_as_unsupported_only_where_that_is_what_it_is(Refusal refusal, BlkifStatus status) =>
        Assert.That(Refusals.StatusOf(refusal), Is.EqualTo(status));

    [Test]
    public void The_parser_changes_no_byte_of_the_copy()
    {
        TRequest slot = Transfer(BlkifOperation.Write, 8, WholePage, OneSector);
        byte[] before = BytesOf(ref slot).ToArray();

        _ = RequestParser.Parse(ref slot, Disk(), out _);

        Assert.That(BytesOf(ref slot).ToArray(), Is.EqualTo(before));
    }

    private static RequestLimits Disk(
        ulong sectors = DiskSectors, int sectorSize = 512, bool readOnly = false, bool flush = true, bool discard = true) =>
        new(sectors, sectorSize, readOnly, flush, discard);

    private static TRequest Transfer(BlkifOperation operation, ulong sector, params BlkifSegment[] segments)
    {
        TRequest slot = default;
        slot.SetTransfer(operation, 0x1122334455667788, sector, segments);
        return slot;
    }

    private static TRequest Discard(ulong sector, ulong count, byte flags = 0)
    {
        TRequest slot = default;
        slot.SetDiscard(0x1122334455667788, sector, count, flags);
        return slot;
    }

    private static Refusal Parse(TRequest slot, RequestLimits disk) => RequestParser.Parse(ref slot, disk, out _);

    private static Span<byte> BytesOf(ref TRequest slot) => MemoryMarshal.AsBytes(new Span<TRequest>(ref slot));
}
