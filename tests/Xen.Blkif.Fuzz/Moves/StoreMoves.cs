namespace Xen.Blkif.Fuzz.Moves;

/// <summary>What a guest can do to its nodes in xenstore.</summary>
internal static class StoreMoves
{
    private static readonly string[] States =
        ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "", " ", "4 ", "-1", "04", "abc", "4294967300", "\u0664", "%n", new string('4', 4096)];

    private static readonly string[] Keys =
    [
        "ring-ref", "ring-ref0", "ring-ref1", "ring-ref3", "event-channel", "ring-page-order", "num-ring-pages", "protocol", "backend", "backend-id",
        "virtual-device", "feature-persistent", "multi-queue-num-queues", "queue-0/ring-ref", "queue-0/event-channel", "queue-1/ring-ref0",
        "queue-1/event-channel", "queue-3/ring-ref", "queue-2", "feature-large-sector-size",
    ];

    private static readonly string[] Values =
    [
        "0", "1", "2", "3", "4", "8", "9", "16", "100", "511", "512", "65536", "4294967295", "4294967296", "-1", "0x8", "", " 8", "8\n", "x86_64-abi",
        "x86_32-abi", "../../../0", "/local/domain/0", new string('9', 4096), new string('\u00ff', 2000),
    ];

    public static IReadOnlyList<Move> List { get; } =
    [
        new("WriteState", 6, static (guest, random) => WriteStates(guest, random, random.Next(1, 4))),

        // XSA-349, XSA-350.
        new("FloodStates", 2, static (guest, random) => WriteStates(guest, random, random.Next(10, 1_000))),
        new("WriteKey", 4, WriteKey),
        new("RemoveKey", 2, static (guest, random) => Remove(guest, $"{guest.Frontend}/{Keys[random.Next(Keys.Length)]}")),
        new("RemoveState", 1, static (guest, _) => Remove(guest, $"{guest.Frontend}/state")),
        new("RemoveHalf", 1, static (guest, _) => Remove(guest, guest.Frontend)),
        new("FillStore", 1, static (guest, random) =>
        {
            for (int count = random.Next(1, 300); count > 0; count--)
                guest.Write($"junk-{count}", Values[random.Next(Values.Length)]);
        }),
    ];

    private static void WriteStates(HostileGuest guest, Random random, int times)
    {
        for (int i = 0; i < times; i++)
            guest.Tell(States[random.Next(States.Length)]);
    }

    private static void WriteKey(HostileGuest guest, Random random)
    {
        guest.Mislead();
        guest.Write(Keys[random.Next(Keys.Length)], random.Next(4) == 0 ? guest.Estate.Firm(random).ToString() : Values[random.Next(Values.Length)]);
    }

    private static void Remove(HostileGuest guest, string path)
    {
        guest.Mislead();
        guest.Guest.Store.Remove(path);
    }
}
