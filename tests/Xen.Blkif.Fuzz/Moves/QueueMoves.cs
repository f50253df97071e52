using System.Globalization;

namespace Xen.Blkif.Fuzz.Moves;

/// <summary>What a guest can say of its queues that is not so.</summary>
internal static class QueueMoves
{
    private static readonly string[] Counts = ["0", "1", "2", "3", "4", "5", "16", "17", "65536", "4294967295", "4294967296", "-1", "", " 2", "02", "abc", "1e1"];

    public static IReadOnlyList<Move> List { get; } =
    [
        new("ConnectWithOtherCount", 1, static (guest, random) =>
            Connect(guest, random, static (guest, random) => guest.Write("multi-queue-num-queues", Counts[random.Next(Counts.Length)]))),
        new("ConnectWithoutKey", 1, static (guest, random) =>
            Connect(guest, random, static (guest, random) => guest.Guest.Store.Remove($"{guest.Frontend}/{AnyKey(guest, random)}"))),
        new("ConnectWithRepeatedKey", 1, static (guest, random) =>
            Connect(guest, random, static (guest, random) => Repeat(guest, AnyKey(guest, random), AnyKey(guest, random)))),
        new("ConnectOnOneRing", 1, static (guest, random) => Connect(guest, random, static (guest, random) =>
        {
            (int from, int to) = Two(guest, random);
            for (int page = 0; page < 1 << guest.Setting.RingPageOrder; page++)
                Repeat(guest, $"queue-{Number(from)}/ring-ref{Number(page)}", $"queue-{Number(to)}/ring-ref{Number(page)}");
        })),
        new("ConnectOnOnePort", 1, static (guest, random) => Connect(guest, random, static (guest, random) =>
        {
            (int from, int to) = Two(guest, random);
            Repeat(guest, $"queue-{Number(from)}/event-channel", $"queue-{Number(to)}/event-channel");
        })),
    ];

    // It is let in or refused; whatever its rings are after that, nothing is owed to it.
    private static void Connect(HostileGuest guest, Random random, Action<HostileGuest, Random> spoil)
    {
        if (!guest.LetGo())
            return;
        guest.Offer(random.Next(2, Setting.MaxQueues + 1));
        guest.Spoil();
        spoil(guest, random);
        guest.Write("state", "3");
        guest.Findings.Check(
            Patience.Until(() => guest.Toolstack.BackendState is "4" or "5"), $"a guest with odd queues is neither let in nor refused: {guest.Toolstack.Describe()}");
    }

    private static void Repeat(HostileGuest guest, string from, string to) => guest.Write(to, guest.Guest.Store.Read($"{guest.Frontend}/{from}") ?? "");

    private static (int From, int To) Two(HostileGuest guest, Random random)
    {
        int from = random.Next(guest.Rings.Count);
        return (from, (from + random.Next(1, guest.Rings.Count)) % guest.Rings.Count);
    }

    private static string AnyKey(HostileGuest guest, Random random)
    {
        int key = random.Next(-1, 1 << guest.Setting.RingPageOrder);
        return $"queue-{Number(random.Next(guest.Rings.Count))}/{(key < 0 ? "event-channel" : $"ring-ref{Number(key)}")}";
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
