using Xen.Blkif.Fuzz.Moves;

namespace Xen.Blkif.Fuzz;

/// <summary>Everything that can happen in an episode.</summary>
internal static class AllMoves
{
    public static IReadOnlyList<Move> List { get; } =
        [.. LifeMoves.List, .. RequestMoves.List, .. RingMoves.List, .. GrantMoves.List, .. EventMoves.List, .. StoreMoves.List, .. HostMoves.List];

    /// <summary>Finds a move by its name.</summary>
    /// <exception cref="FormatException">There is none.</exception>
    public static Move Named(string name) => List.FirstOrDefault(move => move.Name == name) ?? throw new FormatException($"There is no move '{name}'.");
}
