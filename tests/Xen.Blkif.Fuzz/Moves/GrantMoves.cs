using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Fuzz.Moves;

/// <summary>What a guest can do to the pages of its data while they are in use.</summary>
internal static unsafe class GrantMoves
{
    public static IReadOnlyList<Move> List { get; } =
    [
        new("ReplaceGrants", 6, static (guest, random) =>
        {
            for (int count = random.Next(1, 8); count > 0; count--)
                guest.Estate.Replace(random);
        }),
        new("UseAllPages", 3, UseAllPages),

        // For pages that stay mapped go, and others come, only when a queue has nothing to do.
        new("Pause", 1, static (_, random) => Thread.Sleep(random.Next(1, 4))),
    ];

    // More than may stay mapped, and each is taken back as soon as that is possible.
    private static void UseAllPages(HostileGuest guest, Random random)
    {
        foreach (GrantReference page in guest.Estate.AllShaky)
        {
            if (!RequestMoves.HasRoom(guest))
                break;
            guest.Ring!.Put(random.Next(2) == 0 ? BlkifOperation.Read : BlkifOperation.Write, Ending.Any, 0, [new BlkifSegment(page, 0, 7)]);
        }

        guest.Ring?.Queue.Push();
        for (int count = random.Next(64); count > 0; count--)
            guest.Estate.Replace(random);
    }
}
