using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Fuzz.Moves;

/// <summary>What the host does meanwhile, at the worst moment.</summary>
internal static class HostMoves
{
    private const long Granularity = 64 * 1024;

    public static IReadOnlyList<Move> List { get; } =
    [
        new("FailCopies", 2, static (guest, random) =>
        {
            guest.Doubt();
            guest.Toolstack.Fail(random, random.Next(2) == 0 ? GrantStatus.GeneralError : GrantStatus.TryAgain);
        }),
        new("Resize", 1, static (guest, random) =>
        {
            guest.Doubt();
            guest.Toolstack.Resize(random.NextInt64(1, (SuspiciousTarget.Capacity / Granularity) + 1) * Granularity);
        }),
        new("AskForDisk", 1, static (guest, _) =>
        {
            guest.IsOwedAnswers = false;
            guest.Toolstack.Ask();
        }),
        new("TakeDisk", 1, static (guest, _) =>
        {
            guest.IsOwedAnswers = false;
            guest.Toolstack.Detach();
        }),
    ];
}
