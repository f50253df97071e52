namespace Xen.Blkif.Fuzz.Moves;

/// <summary>The process that serves the disk is killed; another one takes the disk back as it is.</summary>
internal static class RestartMoves
{
    public static IReadOnlyList<Move> List { get; } =
    [
        new("Kill", 1, static (guest, _) => guest.Toolstack.Kill()),
        new("KillAndStart", 1, static (guest, _) =>
        {
            guest.Toolstack.Kill();
            guest.Toolstack.Start();
        }),

        // At one of its next calls; and those that come after it likewise.
        new("KillSoon", 1, static (guest, random) =>
            guest.Toolstack.KillSoon([.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => random.Next(1, random.Next(2, 40)))])),
        new("Start", 1, static (guest, _) => guest.Toolstack.Start()),
    ];
}
