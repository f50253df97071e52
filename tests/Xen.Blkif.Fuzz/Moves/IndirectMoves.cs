using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Fuzz.Moves;

/// <summary>Requests whose segments are in a page of their own, which the guest can write to as well.</summary>
internal static class IndirectMoves
{
    public static IReadOnlyList<Move> List { get; } =
    [
        new("PutIndirect", 15, static (guest, random) => Put(guest, random, static (_, _, _) => { }, Flaw.None)),
        new("PutIndirectCount", 3, static (guest, random) => Put(guest, random, static (_, _, _) => { }, Flaw.Count)),
        new("PutIndirectOperation", 3, static (guest, random) => Put(guest, random, static (_, _, _) => { }, Flaw.Operation)),
        new("PutIndirectBeyondEnd", 3, static (guest, random) => Put(guest, random, static (_, _, _) => { }, Flaw.Sector)),
        new("PutIndirectPage", 3, static (guest, random) => Put(guest, random, static (_, _, _) => { }, Flaw.Page)),
        new("PutIndirectBadGrant", 3, static (guest, random) => Put(
            guest, random, static (guest, random, segments) => segments[random.Next(segments.Length)] = new BlkifSegment(guest.Estate.Bad(random), 0, 7), Flaw.Segment)),
        new("PutIndirectBadSegment", 3, static (guest, random) => Put(
            guest, random, static (guest, random, segments) => segments[random.Next(segments.Length)] = new BlkifSegment(guest.Estate.Firm(random), 0, 8), Flaw.Segment)),
        new("ChangeSegments", 6, ChangeSegments),
    ];

    private enum Flaw
    {
        None,
        Count,
        Operation,
        Sector,
        Page,
        Segment,
    }

    private delegate void Spoiler(HostileGuest guest, Random random, Span<BlkifSegment> segments);

    private static void Put(HostileGuest guest, Random random, Spoiler spoil, Flaw flaw)
    {
        int page = random.Next(guest.Estate.SegmentUsers.Length);
        if (!RequestMoves.HasRoom(guest) || guest.IsOpen(guest.Estate.SegmentUsers[page]))
            return;

        Span<BlkifSegment> segments = guest.Estate.SegmentsIn(page)[..random.Next(1, random.Next(4) == 0 ? 257 : 33)];
        uint length = Fill(guest, random, segments);
        spoil(guest, random, segments);
        byte operation = (byte)random.Next(2);
        bool isRight = flaw == Flaw.None && !(operation == (byte)BlkifOperation.Write && guest.Setting.IsReadOnly);
        guest.Estate.SegmentUsers[page] = guest.Ring!.PutIndirect(
            flaw == Flaw.Operation ? (byte)random.Next(2, 256) : operation,
            isRight ? guest.Hope : Ending.Failure,
            flaw == Flaw.Sector ? (1ul << 55) - (ulong)random.Next(2) : RequestMoves.Sector(guest, random, length),
            flaw == Flaw.Count ? (random.Next(2) == 0 ? 0 : random.Next(257, 65536)) : segments.Length,
            flaw == Flaw.Page ? guest.Estate.Bad(random) : guest.Estate.SegmentPage(page));
    }

    // Never more than the disk has: 256 pages are all of it.
    private static uint Fill(HostileGuest guest, Random random, Span<BlkifSegment> segments)
    {
        uint length = 0;
        foreach (ref BlkifSegment segment in segments)
        {
            byte first = guest.Setting.SectorSize == 4096 ? (byte)0 : (byte)random.Next(8);
            byte last = guest.Setting.SectorSize == 4096 ? (byte)7 : (byte)random.Next(first, 8);
            segment = new BlkifSegment(guest.Estate.Firm(random), first, last);
            length += last - (uint)first + 1;
        }

        return length;
    }

    // While they are read (XSA-155).
    private static void ChangeSegments(HostileGuest guest, Random random)
    {
        guest.Doubt();
        for (int count = random.Next(1, 300); count > 0; count--)
        {
            Span<BlkifSegment> page = guest.Estate.SegmentsIn(random.Next(guest.Estate.SegmentUsers.Length));
            GrantReference reference = random.Next(8) == 0 ? guest.Estate.Bad(random) : guest.Estate.Shaky(random);
            page[random.Next(64)] = new BlkifSegment(reference, (byte)random.Next(4), (byte)random.Next(random.Next(8) == 0 ? 256 : 8));
        }
    }
}
