using System.Buffers.Binary;
using System.Runtime.InteropServices;
using FsCheck;
using FsCheck.Fluent;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Tests.Protocol;

/// <summary>For any bytes of a slot, the parser says what a model written from the protocol's words says.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
public sealed class RequestParserProperties
{
    private const int Samples = 30_000;

    [Test]
    public void For_any_slot_the_parser_never_throws_and_takes_exactly_what_the_model_takes_in_the_64_bit_layout() =>
        CheckAgainstModel<X64Request>(new SlotOffsets(Sector: 16, Segments: 24, DiscardCount: 24));

    [Test]
    public void For_any_slot_the_parser_never_throws_and_takes_exactly_what_the_model_takes_in_the_32_bit_layout() =>
        CheckAgainstModel<X86Request>(new SlotOffsets(Sector: 12, Segments: 20, DiscardCount: 20));

    private static void CheckAgainstModel<TRequest>(SlotOffsets offsets)
        where TRequest : unmanaged, IBlkifRequest
    {
        var taken = new int[Enum.GetValues<BlockRequestKind>().Length];
        var refused = new int[Enum.GetValues<Refusal>().Length];
        int indirect = 0;
        int plain = 0;

        Property property = Prop.ForAll(SlotGenerator.Samples(offsets).ToArbitrary(), sample =>
        {
            TRequest slot = MemoryMarshal.Read<TRequest>(sample.Slot);
            Refusal refusal = RequestParser.Parse(ref slot, sample.Limits(), out BlockRequest request);
            bool awaits = refusal == Refusal.None && request.AwaitsSegments;
            if (awaits)
                refusal = RequestParser.ParseIndirect(ref slot, sample.Indirect(request.SegmentCount), sample.Limits(), out request);
            ModelRequest? model = RequestModel.Parse(sample, offsets);

            // What the engine takes without asking the parser: no request that it would not take, and all that are of whole pages.
            bool isPlain = RequestParser.IsPlain(ref slot, sample.Limits());
            if (isPlain != (model is { Kind: BlockRequestKind.Read or BlockRequestKind.Write } && !awaits && model.SectorCount == (uint)model.SegmentCount * 8))
                return false;
            plain += isPlain ? 1 : 0;
            refused[(int)refusal]++;
            if (model is null)
                return refusal != Refusal.None;

            taken[(int)model.Kind]++;
            indirect += awaits ? 1 : 0;
            return refusal == Refusal.None
                && request.Kind == model.Kind
                && request.Sector == model.Sector
                && request.SectorCount == model.SectorCount
                && request.SegmentCount == model.SegmentCount;
        });
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(Samples), property);

        // Samples that were all refused for the same reason would prove nothing.
        using (Assert.EnterMultipleScope())
        {
            Assert.That(taken, Has.All.GreaterThan(Samples / 1000), "every kind of request is taken now and then");
            Assert.That(indirect, Is.GreaterThan(Samples / 1000), "indirect ones too");
            Assert.That(plain, Is.GreaterThan(Samples / 1000), "and those of whole pages");
            Assert.That(refused, Has.All.GreaterThan(Samples / 1000), "every reason is given now and then");
        }
    }
}

/// <summary>Where the fields of a slot lie, in numbers of the test's own.</summary>
internal sealed record SlotOffsets(int Sector, int Segments, int DiscardCount);

/// <summary>A slot, what lies in the page of segments that it names, and a disk.</summary>
internal sealed record SlotSample(
    byte[] Slot, (byte First, byte Last)[] Page, ulong Sectors, int SectorSize, bool ReadOnly, bool Flush, bool Discard, bool Secure, bool Barrier, int MaxIndirect)
{
    public RequestLimits Limits() => new(Sectors, SectorSize, ReadOnly, Flush, Discard, MaxIndirect) { SecureDiscard = Secure, Barrier = Barrier };

    public BlkifSegment[] Indirect(int count) => Enumerable.Range(0, count)
        .Select(i => new BlkifSegment(new GrantReference((uint)i), Page[i % Page.Length].First, Page[i % Page.Length].Last)).ToArray();

    public override string ToString() =>
        $"{Convert.ToHexString(Slot)} on a disk of {Sectors} sectors in units of {SectorSize} bytes; read-only {ReadOnly}, flush {Flush}, discard {Discard}, secure {Secure}, barrier {Barrier}, indirect {MaxIndirect}: {string.Join(' ', Page)}";
}

/// <summary>Makes slots of any bytes, most of them near what a frontend may send.</summary>
internal static class SlotGenerator
{
    private const int SlotLength = 112;

    private static readonly ulong[] Edges =
    [
        0, 1, 7, 8, 64, 0xffff_ffff, 0x1_0000_0000, (1UL << 55) - 8, (1UL << 55) - 1, 1UL << 55, 1UL << 63, ulong.MaxValue - 7, ulong.MaxValue,
    ];

    private static readonly ulong[] DiskSizes = [0, 8, 96, 1000, 1024, 1UL << 32, 1UL << 55, ulong.MaxValue];

    private static readonly int[] SectorSizes = [512, 1024, 2048, 4096];

    private static Gen<byte> AnyByte => Gen.Choose(0, 255).Select(value => (byte)value);

    private static Gen<bool> Mostly(bool value) => Gen.Frequency((4, Gen.Constant(value)), (1, Gen.Constant(!value)));

    private static Gen<byte> Operation => Gen.Frequency((12, Gen.Elements<byte>(0, 1, 2, 3, 5, 6)), (1, Gen.Constant<byte>(4)), (1, AnyByte));

    // What an indirect request means.
    private static Gen<byte> Meaning => Gen.Frequency((12, Gen.Elements<byte>(0, 1)), (1, AnyByte));

    private static Gen<int> IndirectCount => Gen.Frequency((8, Gen.Choose(0, 26)), (2, Gen.Choose(0, 300)), (1, Gen.Choose(0, 65535)));

    private static Gen<byte> SegmentCount => Gen.Frequency((8, Gen.Choose(0, 11).Select(count => (byte)count)), (1, AnyByte));

    // A segment is its first and its last sector: a whole page, any part of it, or anything.
    private static Gen<(byte First, byte Last)> Segment => Gen.Frequency(
        (40, Gen.Constant(((byte)0, (byte)7))),
        (8, from first in Gen.Choose(0, 7) from last in Gen.Choose(first, 7) select ((byte)first, (byte)last)),
        (1, from first in AnyByte from last in AnyByte select (first, last)),
        (1, from first in Gen.Choose(0, 8) from last in Gen.Choose(0, 8) select ((byte)first, (byte)last)));

    public static Gen<SlotSample> Samples(SlotOffsets offsets) =>
        from noise in AnyByte.ArrayOf(SlotLength)
        from wild in Gen.Frequency((9, Gen.Constant(false)), (1, Gen.Constant(true)))
        from operation in Operation
        from segmentCount in SegmentCount
        from segments in Segment.ArrayOf(11)
        from meaning in Meaning
        from indirectCount in IndirectCount
        from page in Segment.ArrayOf(7)
        from sectors in Gen.Elements(DiskSizes)
        from sector in Number(sectors)
        from discardCount in Number(sectors)
        from sectorSize in Gen.Elements(SectorSizes)
        from readOnly in Mostly(false)
        from flush in Mostly(true)
        from discard in Mostly(true)
        from secure in Mostly(true)
        from barrier in Mostly(true)
        from maxIndirect in Gen.Frequency((1, Gen.Constant(0)), (4, Gen.Elements(12, 24, 256)))
        select new SlotSample(
            wild ? noise : Fill(noise, offsets, operation, segmentCount, segments, meaning, indirectCount, sector, discardCount),
            page,
            sectors,
            sectorSize,
            readOnly,
            flush,
            discard,
            secure,
            barrier,
            maxIndirect);

    private static Gen<ulong> Number(ulong diskSectors) => Gen.Frequency(
        (4, Gen.Choose(0, 120).Select(page => (ulong)page * 8)),
        (3, Gen.Choose(0, 1030).Select(sector => (ulong)sector)),
        (3, Gen.Choose(-90, 2).Select(distance => unchecked(diskSectors + (ulong)(long)distance))),
        (2, Gen.Elements(Edges)));

    private static byte[] Fill(
        byte[] slot,
        SlotOffsets offsets,
        byte operation,
        byte segmentCount,
        (byte First, byte Last)[] segments,
        byte meaning,
        int indirectCount,
        ulong sector,
        ulong discardCount)
    {
        slot[0] = operation;
        slot[1] = segmentCount;
        BinaryPrimitives.WriteUInt64LittleEndian(slot.AsSpan(offsets.Sector), sector);
        for (int i = 0; i < segments.Length; i++)
        {
            slot[offsets.Segments + (i * 8) + 4] = segments[i].First;
            slot[offsets.Segments + (i * 8) + 5] = segments[i].Last;
        }

        if (operation == 5)
            BinaryPrimitives.WriteUInt64LittleEndian(slot.AsSpan(offsets.DiscardCount), discardCount);
        if (operation == 6)
        {
            slot[1] = meaning;
            BinaryPrimitives.WriteUInt16LittleEndian(slot.AsSpan(2), (ushort)indirectCount);
        }

        return slot;
    }
}

/// <summary>What a request must come out as.</summary>
internal sealed record ModelRequest(BlockRequestKind Kind, UInt128 Sector, UInt128 SectorCount, int SegmentCount);

/// <summary>The rules once more, in 128-bit arithmetic that nothing overflows, on raw bytes, sharing no code with the parser.</summary>
internal static class RequestModel
{
    /// <summary>The request, or null where it must be refused.</summary>
    public static ModelRequest? Parse(SlotSample sample, SlotOffsets offsets)
    {
        ReadOnlySpan<byte> slot = sample.Slot;
        UInt128 start = BinaryPrimitives.ReadUInt64LittleEndian(slot[offsets.Sector..]);
        int segments = slot[1];
        return slot[0] switch
        {
            0 => Transfer(BlockRequestKind.Read, sample, offsets, start, segments),
            1 when !sample.ReadOnly => Transfer(BlockRequestKind.Write, sample, offsets, start, segments),
            3 when sample.Flush && segments == 0 => new ModelRequest(BlockRequestKind.Flush, 0, 0, 0),
            3 when sample.Flush && !sample.ReadOnly => Transfer(BlockRequestKind.FlushThenWrite, sample, offsets, start, segments),
            2 when sample.Barrier && segments == 0 => new ModelRequest(BlockRequestKind.Barrier, 0, 0, 0),
            2 when sample.Barrier && !sample.ReadOnly => Transfer(BlockRequestKind.Barrier, sample, offsets, start, segments),
            5 when sample.Discard && !sample.ReadOnly && (sample.Secure || slot[1] % 2 == 0) =>
                OnDisk(slot[1] % 2 == 0 ? BlockRequestKind.Discard : BlockRequestKind.SecureDiscard, sample, start, BinaryPrimitives.ReadUInt64LittleEndian(slot[offsets.DiscardCount..]), 0),
            6 when slot[1] == 0 => Indirect(BlockRequestKind.Read, sample, start),
            6 when slot[1] == 1 && !sample.ReadOnly => Indirect(BlockRequestKind.Write, sample, start),
            _ => null,
        };
    }

    private static ModelRequest? Transfer(BlockRequestKind kind, SlotSample sample, SlotOffsets offsets, UInt128 start, int segments)
    {
        if (segments > 11)
            return null;

        byte[] slot = sample.Slot;
        return Transfer(
            kind,
            sample,
            start,
            [.. Enumerable.Range(0, segments).Select(i => (slot[offsets.Segments + (i * 8) + 4], slot[offsets.Segments + (i * 8) + 5]))]);
    }

    private static ModelRequest? Indirect(BlockRequestKind kind, SlotSample sample, UInt128 start)
    {
        int segments = sample.Slot[2] + (sample.Slot[3] * 256);
        return segments > sample.MaxIndirect
            ? null
            : Transfer(kind, sample, start, [.. Enumerable.Range(0, segments).Select(i => sample.Page[i % sample.Page.Length])]);
    }

    private static ModelRequest? Transfer(BlockRequestKind kind, SlotSample sample, UInt128 start, (byte First, byte Last)[] segments)
    {
        UInt128 sectors = 0;
        foreach ((byte first, byte last) in segments)
        {
            if (first > last || last * 512 >= 4096 || (last - first + 1) * 512 % sample.SectorSize != 0)
                return null;
            sectors += (UInt128)(last - first + 1);
        }

        return OnDisk(kind, sample, start, sectors, segments.Length);
    }

    private static ModelRequest? OnDisk(BlockRequestKind kind, SlotSample sample, UInt128 start, UInt128 sectors, int segments)
    {
        bool something = sectors > 0;
        bool inside = (start + sectors) * 512 <= (UInt128)sample.Sectors * 512;
        bool aligned = start * 512 % (UInt128)sample.SectorSize == 0 && sectors * 512 % (UInt128)sample.SectorSize == 0;
        return something && inside && aligned ? new ModelRequest(kind, start, sectors, segments) : null;
    }
}
