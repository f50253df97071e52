using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Tests.Protocol;

/// <summary>However many segments there are, and however many of them are looked at together, each counts as the rule says, and no other byte does.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class SegmentCheckTests
{
    private static readonly BlkifSegment Wrong = new(new GrantReference(uint.MaxValue), 255, 255);

    private static readonly Dictionary<int, RequestLimits> LimitsOf = new[] { 512, 1024, 2048, 4096 }.ToDictionary(
        size => size, size => new RequestLimits(1 << 20, size, readOnly: false, flush: true, discard: true, RequestLimits.IndirectSegmentsCeiling));

    // Outside the page at either end and at both, reversed by one and by most, and lengths of no whole block of 1024, 2048 or 4096 bytes.
    private static readonly (byte First, byte Last)[] Suspects =
        [(0, 8), (8, 8), (7, 8), (0, 255), (255, 255), (255, 0), (8, 0), (1, 0), (7, 6), (7, 0), (0, 0), (7, 7), (0, 2), (1, 7), (0, 1), (2, 5), (0, 7)];

    [Test]
    public void Any_one_suspect_among_any_number_of_segments_is_judged_as_the_rule_says([Values(512, 1024, 2048, 4096)] int sectorSize)
    {
        for (int count = 1; count <= RequestLimits.IndirectSegmentsCeiling; count++)
        {
            BlkifSegment[] segments = WholePages(count);
            for (int position = 1; position <= count; position++)
            {
                BlkifSegment right = segments[position];
                foreach ((byte first, byte last) in Suspects)
                {
                    segments[position] = new BlkifSegment(new GrantReference((uint)position), first, last);
                    AssertJudgedByTheRule(segments, sectorSize);
                }

                segments[position] = right;
            }
        }
    }

    [Test]
    public void Any_two_sectors_are_judged_as_the_rule_says_wherever_they_stand_among_seven([Values(512, 4096)] int sectorSize)
    {
        for (int pair = 0; pair <= ushort.MaxValue; pair++)
        {
            BlkifSegment[] segments = WholePages(7);
            segments[(pair % 7) + 1] = new BlkifSegment(new GrantReference(uint.MaxValue), (byte)pair, (byte)(pair >> 8));
            AssertJudgedByTheRule(segments, sectorSize);
        }
    }

    [Test]
    public void Of_several_that_are_wrong_the_first_gives_the_reason([Values] bool many)
    {
        BlkifSegment[] segments = WholePages(12);
        segments[3] = new BlkifSegment(default, 1, 7);
        segments[5] = new BlkifSegment(default, 5, 4);
        segments[9] = new BlkifSegment(default, 0, 8);
        Assert.That(Check(segments, 4096, many).Refusal, Is.EqualTo(Refusal.Misaligned));
        Assert.That(Check(segments, 512, many).Refusal, Is.EqualTo(Refusal.SegmentReversed));
    }

    [Test]
    public void Sums_of_any_right_segments_are_exact()
    {
        var random = new Random(7);
        for (int sample = 0; sample < 2000; sample++)
        {
            BlkifSegment[] segments = WholePages(random.Next(1, RequestLimits.IndirectSegmentsCeiling + 1));
            for (int i = 1; i < segments.Length - 1; i++)
            {
                int first = random.Next(8);
                segments[i] = new BlkifSegment(new GrantReference((uint)random.Next()), (byte)first, (byte)random.Next(first, 8));
            }

            AssertJudgedByTheRule(segments, 512);
        }
    }

    // Between neighbours that would be wrong, and with every bit set that is not a sector's.
    private static BlkifSegment[] WholePages(int count)
    {
        var segments = new BlkifSegment[count + 2];
        segments.AsSpan().Fill(new BlkifSegment(new GrantReference(uint.MaxValue), 0, 7));
        for (int i = 0; i < segments.Length; i++)
            MemoryMarshal.AsBytes(segments.AsSpan(i, 1)).Slice(6).Fill(byte.MaxValue);
        segments[0] = segments[count + 1] = Wrong;
        return segments;
    }

    private static void AssertJudgedByTheRule(BlkifSegment[] segments, int sectorSize)
    {
        (Refusal Refusal, uint Sectors) expected = Model(segments, sectorSize / 512);
        if (Check(segments, sectorSize, many: false) != expected || Check(segments, sectorSize, many: true) != expected)
            Assert.Fail($"{string.Join(' ', segments.Select(segment => $"{segment.FirstSector}-{segment.LastSector}"))}, but for both ends: not {expected}");
    }

    private static (Refusal Refusal, uint Sectors) Check(BlkifSegment[] segments, int sectorSize, bool many)
    {
        ref byte first = ref MemoryMarshal.GetReference(MemoryMarshal.AsBytes(segments.AsSpan(1)));
        int count = segments.Length - 2;
        RequestLimits limits = LimitsOf[sectorSize];
        Refusal refusal = many
            ? SegmentCheck.CheckMany(ref first, count, limits, out uint sectors)
            : SegmentCheck.Check(ref first, count, limits, out sectors);
        return (refusal, refusal == Refusal.None ? sectors : 0);
    }

    private static (Refusal Refusal, uint Sectors) Model(BlkifSegment[] segments, int blockSectors)
    {
        uint sum = 0;
        foreach (BlkifSegment segment in segments.AsSpan(1, segments.Length - 2))
        {
            int sectors = segment.LastSector - segment.FirstSector + 1;
            if (segment.LastSector > 7)
                return (Refusal.SegmentOutsidePage, 0);
            if (sectors < 1)
                return (Refusal.SegmentReversed, 0);
            if (sectors % blockSectors != 0)
                return (Refusal.Misaligned, 0);
            sum += (uint)sectors;
        }

        return (Refusal.None, sum);
    }
}
