using System.Globalization;

namespace Xen.Blkif.Fuzz.Moves;

/// <summary>What a guest can say of its queues that is not so.</summary>
internal static class QueueMoves
{
    private static readonly string[] Counts = ["0", "1", "2", "3", "4", "5", "16", "17", "65536", "4294967295", "4294967296", "-1", "", " 2", "02", "abc", "1e1"];

    // Connecting takes a while: one move for all, so that there are not many.
    public static IReadOnlyList<Move> List { get; } =
    [
        new("ConnectOddly", 2, static (guest, random) =>
        {
            if (!guest.LetGo())
                return;
            guest.Offer(random.Next(2, Setting.MaxQueues + 1));
            guest.Mislead();
            Lie(guest, random);
            guest.Write("state", "3");
            guest.Findings.Check(
                Patience.Until(() => guest.Toolstack.BackendState is "4" or "5"), $"a guest with odd queues is neither let in nor refused: {guest.Toolstack.Describe()}");
        }),
    ];

    // Whatever its rings are after that, nothing is owed to it.
    private static void Lie(HostileGuest guest, Random random)
    {
        int from = random.Next(guest.Rings.Count);
        int to = (from + random.Next(1, guest.Rings.Count)) % guest.Rings.Count;
        switch (random.Next(5))
        {
            case 0:
                guest.Write("multi-queue-num-queues", Counts[random.Next(Counts.Length)]);
                break;
            case 1:
                guest.Guest.Store.Remove($"{guest.Frontend}/{AnyKey(guest, random)}");
                break;
            case 2:
                Repeat(guest, AnyKey(guest, random), AnyKey(guest, random));
                break;
            case 3:
                Repeat(guest, Key(from, -1), Key(to, -1));
                break;
            default:
                for (int page = 0; page < 1 << guest.Setting.RingPageOrder; page++)
                    Repeat(guest, Key(from, page), Key(to, page));
                break;
        }
    }

    private static void Repeat(HostileGuest guest, string from, string to) => guest.Write(to, guest.Guest.Store.Read($"{guest.Frontend}/{from}") ?? "");

    private static string AnyKey(HostileGuest guest, Random random) =>
        Key(random.Next(guest.Rings.Count), random.Next(-1, 1 << guest.Setting.RingPageOrder));

    // Of one of the ring's pages, or of the port where that is -1.
    private static string Key(int queue, int page) => string.Create(
        CultureInfo.InvariantCulture, $"queue-{queue}/{(page < 0 ? "event-channel" : string.Create(CultureInfo.InvariantCulture, $"ring-ref{page}"))}");
}
