using Xen.Blkif.Protocol;

namespace Xen.Blkif.Fuzz.Moves;

/// <summary>Writes with a barrier, which nothing else may be under way beside.</summary>
internal static unsafe class BarrierMoves
{
    public static IReadOnlyList<Move> List { get; } =
    [
        new("PutBarrier", 10, Put),
        new("PutEmptyBarrier", 2, static (guest, random) => PutOne(guest, random, [])),
        new("PutBarriersEverywhere", 3, static (guest, random) =>
        {
            for (int ring = 0; ring < guest.Rings.Count; ring++)
            {
                guest.Choose(ring);
                Put(guest, random);
                guest.Ring!.Queue.Push();
            }
        }),
    ];

    private static void Put(HostileGuest guest, Random random)
    {
        var segments = new BlkifSegment[random.Next(1, BlkifLimits.MaxSegments + 1)];
        for (int i = 0; i < segments.Length; i++)
            segments[i] = new BlkifSegment(guest.Estate.Marked(random), 0, 7);
        PutOne(guest, random, segments);
    }

    private static void PutOne(HostileGuest guest, Random random, BlkifSegment[] segments)
    {
        if (!RequestMoves.HasRoom(guest))
            return;
        Ending whereOffered = guest.Setting.IsReadOnly && segments.Length > 0 ? Ending.Failure : guest.Hope;
        ulong sector = RequestMoves.Sector(guest, random, (uint)segments.Length * 8);
        guest.Ring!.Put(BlkifOperation.WriteBarrier, guest.Setting.OffersBarriers ? whereOffered : Ending.Failure, sector, segments);
    }
}
