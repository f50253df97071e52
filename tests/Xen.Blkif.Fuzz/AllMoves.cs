using Xen.Blkif.Fuzz.Moves;

namespace Xen.Blkif.Fuzz;

/// <summary>Everything that can happen in an episode.</summary>
internal static class AllMoves
{
    /// <summary>By what they are made with.</summary>
    public static IReadOnlyList<IReadOnlyList<Move>> Kinds { get; } =
    [
        LifeMoves.List, RequestMoves.List, IndirectMoves.List, BarrierMoves.List, RingMoves.List, GrantMoves.List, EventMoves.List, StoreMoves.List,
        QueueMoves.List, HostMoves.List, RestartMoves.List,
    ];

    public static IReadOnlyList<Move> List { get; } = [.. Kinds.SelectMany(kind => kind)];

    /// <summary>Finds a move by its name.</summary>
    /// <exception cref="FormatException">There is none.</exception>
    public static Move Named(string name) => List.FirstOrDefault(move => move.Name == name) ?? throw new FormatException($"There is no move '{name}'.");
}
