namespace Xen.Blkif.Fuzz.Moves;

/// <summary>What a guest can do to the pages of its data while they are in use.</summary>
internal static class GrantMoves
{
    public static IReadOnlyList<Move> List { get; } =
    [
        new("ReplaceGrants", 6, static (guest, random) =>
        {
            for (int count = random.Next(1, 8); count > 0; count--)
                guest.Estate.Replace(random);
        }),
    ];
}
