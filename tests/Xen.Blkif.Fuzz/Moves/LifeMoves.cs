namespace Xen.Blkif.Fuzz.Moves;

/// <summary>Coming and going.</summary>
internal static class LifeMoves
{
    public static IReadOnlyList<Move> List { get; } =
    [
        new("Connect", 4, static (guest, _) => guest.Connect(), IsBasic: true),
        new("LetGo", 2, static (guest, _) => guest.LetGo()),
        new("Settle", 4, static (guest, _) => guest.Settle(), IsBasic: true),
        new("Die", 1, static (guest, random) =>
        {
            // Most episodes are to be longer than this.
            if (random.Next(8) == 0)
                guest.Die();
        }),
    ];
}
