namespace Xen.Blkif.Fuzz.Moves;

/// <summary>What a guest can do to its event channel.</summary>
internal static class EventMoves
{
    public static IReadOnlyList<Move> List { get; } =
    [
        // XSA-332.
        new("StormEvents", 4, static (guest, random) =>
        {
            for (int count = random.Next(1, 3_000); count > 0; count--)
                guest.Ring?.Queue.Channel.Notify();
        }),

        // XSA-441. The backend hears of nothing any more, so that nothing is owed.
        new("ClosePort", 1, static (guest, _) =>
        {
            guest.IsOwedAnswers = false;
            guest.Ring?.Queue.Channel.Dispose();
        }),
    ];
}
