using System.Runtime.CompilerServices;
#if !NETSTANDARD
using System.Runtime.Intrinsics;
#endif

namespace Xen.Blkif.Protocol;

/// <summary>The rule for segments: sectors of one page, the first not behind the last, as many as whole blocks of the disk.</summary>
/// <remarks>
/// Checked for all at once, without a branch for each; only where one is wrong is it found out which and why. With <c>more = last - first</c>,
/// which wraps where they are the wrong way round, a segment is right if <c>last</c> and <c>more</c> are sectors of a page, 0 to 7, and
/// <c>more</c>, one less than its number of sectors, has every bit that is 0 in whole blocks.
/// </remarks>
internal static class SegmentCheck
{
    private const uint OutsidePage = ~(BlkifLimits.SectorsPerPage - 1u);

    // Sectors 0 to 7.
    private const uint WholePage = (BlkifLimits.SectorsPerPage - 1u) << 8;

    /// <summary>Checks the segments that a request carries in itself.</summary>
    /// <param name="segments">The first of them, as <see cref="BlkifSegment"/> lays them out.</param>
    /// <param name="count">How many, from 1.</param>
    /// <param name="limits">What the disk allows.</param>
    /// <param name="sectors">The sum of their sectors, where the result is <see cref="Refusal.None"/>.</param>
    /// <returns><see cref="Refusal.None"/>, or what is wrong with the first that is wrong.</returns>
    public static Refusal Check(ref byte segments, int count, RequestLimits limits, out uint sectors)
    {
        sectors = CountIfRight(ref segments, count, limits.AlignmentMask);
        return sectors > 0 ? Refusal.None : RefusalOf(ref segments, count, limits);
    }

    /// <summary>The same for the segments of an indirect request, which may be many.</summary>
    public static Refusal CheckMany(ref byte segments, int count, RequestLimits limits, out uint sectors)
    {
#if !NETSTANDARD
        if (Vector256.IsHardwareAccelerated && count >= Vector256<ulong>.Count)
            return AreRightByFours(ref segments, count, limits.AlignmentMask, out sectors) ? Refusal.None : RefusalOf(ref segments, count, limits);
#endif
        return Check(ref segments, count, limits, out sectors);
    }

    /// <summary>Whether all segments are whole pages.</summary>
    /// <param name="segments">The first of them.</param>
    /// <param name="count">How many, from 1.</param>
    // One by one: they were stored a moment ago, in parts that a processor cannot bring together for a load of several without waiting.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreWholePages(ref byte segments, uint count)
    {
        uint other = 0;
        ref byte end = ref Unsafe.Add(ref segments, (nint)(count * BlkifSegment.Length));
        ref byte segment = ref segments;
        do
        {
            other |= WholePage ^ SectorsOf(ref segment);
            segment = ref Unsafe.Add(ref segment, BlkifSegment.Length);
        }
        while (Unsafe.IsAddressLessThan(ref segment, ref end));

        return other == 0;
    }

    // The sum of their sectors, or 0.
    private static uint CountIfRight(ref byte segments, int count, uint unaligned)
    {
        uint wrong = 0;
        uint sum = 0;
        for (int i = 0; i < count; i++)
        {
            uint pair = SectorsOf(ref Unsafe.Add(ref segments, i * BlkifSegment.Length));
            uint last = pair >> 8;
            uint more = last - (byte)pair;
            wrong |= ((last | more) & OutsidePage) | (~more & unaligned);
            sum += more;
        }

        return wrong == 0 ? sum + (uint)count : 0;
    }

    // The sectors are the two bytes behind the reference, the first in the lower.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint SectorsOf(ref byte segment) => Unsafe.ReadUnaligned<ushort>(ref Unsafe.Add(ref segment, sizeof(uint)));

#if !NETSTANDARD
    // Four segments are sixteen words of 16 bits, of which the third of every four has the sectors. The others are computed with and not looked at.
    private static bool AreRightByFours(ref byte segments, int count, uint unaligned, out uint sectors)
    {
        const int SectorsAt = 32;
        Vector256<ushort> some = Vector256<ushort>.Zero;
        Vector256<ushort> every = Vector256<ushort>.AllBitsSet;
        Vector256<ushort> sum = Vector256<ushort>.Zero;

        // Whole fours come last, so that nothing behind them is read. Of the first four, those that come again are not counted yet.
        int step = ((count - 1) % 4) + 1;
        Vector256<ushort> counted = Vector256.LessThan(Vector256.Create(0L, 1, 2, 3), Vector256.Create((long)step)).AsUInt16();
        for (int i = 0; i < count; i += step, step = 4)
        {
            Vector256<ushort> four = Vector256.LoadUnsafe(ref Unsafe.Add(ref segments, i * BlkifSegment.Length)).AsUInt16();
            Vector256<ushort> last = four >>> 8;
            Vector256<ushort> more = last - (four & Vector256.Create((ushort)byte.MaxValue));
            some |= last | more;
            every &= more;
            sum += more & counted;
            counted = Vector256<ushort>.AllBitsSet;
        }

        Vector256<ulong> wrong = (some.AsUInt64() & Vector256.Create((ulong)(OutsidePage & ushort.MaxValue) << SectorsAt))
            | (~every.AsUInt64() & Vector256.Create((ulong)unaligned << SectorsAt));
        sectors = (uint)(Vector256.Sum(sum.AsUInt64() & Vector256.Create((ulong)ushort.MaxValue << SectorsAt)) >> SectorsAt) + (uint)count;
        return wrong == Vector256<ulong>.Zero;
    }
#endif

    private static Refusal RefusalOf(ref byte segments, int count, RequestLimits limits)
    {
        for (int i = 0; i < count; i++)
        {
            BlkifSegment segment = Unsafe.ReadUnaligned<BlkifSegment>(ref Unsafe.Add(ref segments, i * BlkifSegment.Length));
            if (segment.LastSector >= BlkifLimits.SectorsPerPage)
                return Refusal.SegmentOutsidePage;
            if (segment.FirstSector > segment.LastSector)
                return Refusal.SegmentReversed;
            if (!limits.IsAligned(segment.LastSector - (uint)segment.FirstSector + 1))
                return Refusal.Misaligned;
        }

        return Refusal.None;
    }
}
