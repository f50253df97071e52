using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Fuzz.Moves;

/// <summary>What a guest can do to the page that it shares with its backend.</summary>
internal static unsafe class RingMoves
{
    public static IReadOnlyList<Move> List { get; } =
    [
        new("Push", 30, static (guest, _) => guest.Ring?.Queue.Push(), IsBasic: true),
        new("TakeResponses", 30, static (guest, _) => guest.TakeResponses(), IsBasic: true),
        new("ChangeUnderWay", 8, ChangeUnderWay),
        new("WriteHints", 6, WriteHints),
        new("ScribbleSlots", 2, ScribbleSlots),
        new("ImpossibleProducer", 1, ImpossibleProducer),
        new("WriteResponseProducer", 1, WriteResponseProducer),
        new("RacingWriter", 2, RacingWriter),
    ];

    // Sectors and segments of requests that the backend may be reading (XSA-155). Responses do not reach so far into their slots.
    private static void ChangeUnderWay(HostileGuest guest, Random random)
    {
        if (guest.Ring is not { } ring)
            return;
        ring.Ledger.Doubt();
        for (int count = random.Next(1, 200); count > 0; count--)
        {
            byte* slot = ring.AnySlot(random);
            if (random.Next(3) == 0)
                *(ulong*)(slot + ring.SectorOffset) = random.Next(2) == 0 ? (ulong)random.Next(2048) : (ulong)random.NextInt64() << random.Next(2);
            else
                WriteSegment(guest, ring, random, slot);
        }
    }

    // req_event and rsp_event say when to notify, and nothing else.
    private static void WriteHints(HostileGuest guest, Random random)
    {
        if (guest.Ring is { } ring)
            ring.Indices[random.Next(2) == 0 ? 1 : 3] += (uint)random.Next(-3, 40);
    }

    // Their references may be of other rings by now.
    private static void ScribbleSlots(HostileGuest guest, Random random)
    {
        if (guest.Ring is not { } ring)
            return;
        guest.Spoil();
        for (int count = random.Next(1, 100); count > 0; count--)
        {
            byte* slot = ring.AnySlot(random);
            int from = random.Next(ring.Stride);
            random.NextBytes(new Span<byte>(slot + from, random.Next(ring.Stride - from) + 1));
        }
    }

    // Beyond what fits, or behind what was announced (XSA-39, XSA-86).
    private static void ImpossibleProducer(HostileGuest guest, Random random)
    {
        if (guest.Ring is not { } ring)
            return;
        guest.Spoil(ring);
        Volatile.Write(ref ring.Indices[0], random.Next(3) switch
        {
            0 => ring.Indices[0] + ring.Slots + (uint)random.Next(1, 1 << 30),
            1 => ring.Indices[0] - (uint)random.Next(1, 600),
            _ => (uint)random.Next(),
        });
        ring.Queue.Channel.Notify();
    }

    private static void WriteResponseProducer(HostileGuest guest, Random random)
    {
        if (guest.Ring is not { } ring)
            return;
        guest.Spoil(ring);
        ring.Indices[2] += (uint)random.Next(-600, 600);
    }

    // Requests that are almost right are written field by field and announced a few at a time, as fast as it goes, while the backend reads.
    private static void RacingWriter(HostileGuest guest, Random random)
    {
        if (guest.Ring is not { } ring)
            return;
        guest.Spoil(ring);
        int segments = ring.SectorOffset + 8;
        for (int count = random.Next(100, 5_000); count > 0; count--)
        {
            byte* slot = ring.AnySlot(random);
            switch (random.Next(4))
            {
                case 0:
                    slot[0] = (byte)random.Next(8);
                    slot[1] = (byte)(random.Next(4) == 0 ? random.Next(13) : random.Next(1, 3));
                    break;
                case 1:
                    *(ulong*)(slot + segments - 8) = random.Next(8) == 0 ? (ulong)random.NextInt64() << random.Next(8) : (ulong)random.Next(2100);
                    break;
                case 2:
                    WriteSegment(guest, ring, random, slot);
                    break;
                default:
                    uint announced = ring.Indices[0] + (uint)random.Next(4);
                    if (announced - ring.Indices[2] <= ring.Slots)
                        Volatile.Write(ref ring.Indices[0], announced);
                    break;
            }

            if (random.Next(16) == 0)
                ring.Queue.Channel.Notify();
        }
    }

    private static void WriteSegment(HostileGuest guest, HostileRing ring, Random random, byte* slot)
    {
        byte* segment = slot + ring.SectorOffset + 8 + (random.Next(11) * 8);
        GrantReference reference = random.Next(8) == 0 ? guest.Estate.Bad(random) : guest.Estate.Shaky(random);
        *(uint*)segment = reference.Value;
        segment[4] = (byte)random.Next(4);
        segment[5] = (byte)random.Next(random.Next(8) == 0 ? 256 : 8);
    }
}
