using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Fuzz.Moves;

/// <summary>What a guest can ask for, rightly and wrongly, one request after the other.</summary>
internal static unsafe class RequestMoves
{
    private const uint Sectors = (uint)(SuspiciousTarget.Capacity / BlkifLimits.SectorSize);

    public static IReadOnlyList<Move> List { get; } =
    [
        new("PutRight", 30, PutRight, IsBasic: true),
        new("PutBeyondEnd", 4, PutBeyondEnd),
        new("PutBadSegment", 4, PutBadSegment),
        new("PutBadCount", 4, PutBadCount),
        new("PutBadGrant", 6, PutBadGrant),
        new("PutShakyGrant", 6, PutShakyGrant),
        new("PutReadIntoReadOnly", 4, static (guest, random) =>
            PutSegments(guest, random, BlkifOperation.Read, Ending.Failure, guest.Estate.ReadOnly(random))),
        new("PutReadIntoRing", 1, PutReadIntoRing),
        new("PutOtherOperation", 4, PutOtherOperation),
        new("PutBadDiscard", 4, PutBadDiscard),
        new("PutAnyBytes", 6, PutAnyBytes),
    ];

    private static void PutRight(HostileGuest guest, Random random)
    {
        for (int count = random.Next(1, 9); count > 0 && HasRoom(guest); count--)
        {
            BlkifSegment[] segments = Right(guest, random, out uint length);
            ulong sector = Sector(guest, random, length);
            Ending whereWritten = guest.Setting.IsReadOnly ? Ending.Failure : guest.Hope;
            switch (random.Next(6))
            {
                case 0:
                    guest.Ring!.Put(BlkifOperation.FlushDiskCache, guest.Hope, (ulong)random.NextInt64(), []);
                    break;
                case 1:
                    guest.Ring!.Put(BlkifOperation.FlushDiskCache, whereWritten, sector, segments);
                    break;
                case 2:
                    guest.Ring!.PutDiscard(whereWritten, sector, (ulong)length, (byte)random.Next(2));
                    break;
                case 3:
                    guest.Ring!.Put(BlkifOperation.Read, guest.Hope, sector, segments);
                    break;
                default:
                    guest.Ring!.Put(BlkifOperation.Write, whereWritten, sector, segments);
                    break;
            }
        }
    }

    private static void PutBeyondEnd(HostileGuest guest, Random random)
    {
        if (!HasRoom(guest))
            return;
        BlkifSegment[] segments = Right(guest, random, out uint length);
        ulong sector = random.Next(6) switch
        {
            0 => 1ul << 55,
            1 => ulong.MaxValue - (ulong)random.Next(64),
            2 => 1ul << 63,
            3 => Sectors,
            4 => Sectors - length + (ulong)guest.Setting.SectorSize / BlkifLimits.SectorSize,
            _ => (ulong)random.NextInt64() | (1ul << 40),
        };
        guest.Ring!.Put(Transfer(random), Ending.Failure, sector, segments);
    }

    private static void PutBadSegment(HostileGuest guest, Random random)
    {
        if (!HasRoom(guest))
            return;
        BlkifSegment[] segments = Right(guest, random, out _);
        GrantReference page = guest.Estate.Firm(random);
        segments[random.Next(segments.Length)] = random.Next(3) switch
        {
            0 => new BlkifSegment(page, 0, (byte)random.Next(8, 256)),
            1 => new BlkifSegment(page, (byte)random.Next(1, 256), 0),
            _ => new BlkifSegment(page, (byte)random.Next(8, 255), 255),
        };
        guest.Ring!.Put(Transfer(random), Ending.Failure, 0, segments);
    }

    private static void PutBadCount(HostileGuest guest, Random random)
    {
        if (!HasRoom(guest))
            return;
        byte* slot = guest.Ring!.Put(random.Next(2) == 0 ? BlkifOperation.Read : BlkifOperation.Write, Ending.Failure, 0, Right(guest, random, out _));
        slot[1] = (byte)(random.Next(2) == 0 ? 0 : random.Next(12, 256));
    }

    private static void PutBadGrant(HostileGuest guest, Random random) =>
        PutSegments(guest, random, Transfer(random), Ending.Failure, guest.Estate.Bad(random));

    private static void PutShakyGrant(HostileGuest guest, Random random) =>
        PutSegments(guest, random, Transfer(random), Ending.Any, guest.Estate.Shaky(random));

    // What is on the disk then lies in a ring, this one or another: requests, responses and indices.
    private static void PutReadIntoRing(HostileGuest guest, Random random)
    {
        if (!HasRoom(guest))
            return;
        guest.Mislead();
        FrontendQueue victim = guest.Rings[random.Next(guest.Rings.Count)].Queue;
        GrantReference page = victim.RingReferences[random.Next(victim.RingReferences.Count)];
        guest.Ring!.Queue.Put(BlkifOperation.Read, 0, 0, [new BlkifSegment(page, 0, 7)]);
        guest.Ring.Queue.Push();
    }

    // One reference among right ones.
    private static void PutSegments(HostileGuest guest, Random random, BlkifOperation operation, Ending ending, GrantReference reference)
    {
        if (!HasRoom(guest))
            return;
        BlkifSegment[] segments = Right(guest, random, out uint length);
        int at = random.Next(segments.Length);
        segments[at] = new BlkifSegment(reference, segments[at].FirstSector, segments[at].LastSector);
        guest.Ring!.Put(operation, ending, Sector(guest, random, length), segments);
    }

    private static void PutOtherOperation(HostileGuest guest, Random random)
    {
        if (!HasRoom(guest))
            return;
        byte operation = random.Next(3) switch { 0 => 2, 1 => 4, _ => (byte)random.Next(7, 256) };
        guest.Ring!.Put((BlkifOperation)operation, operation == 2 ? Ending.Any : Ending.Failure, 0, Right(guest, random, out _));
    }

    private static void PutBadDiscard(HostileGuest guest, Random random)
    {
        if (!HasRoom(guest))
            return;
        (ulong sector, ulong sectors) = random.Next(5) switch
        {
            0 => (0ul, 0ul),
            1 => (0ul, Sectors + 8ul),
            2 => (ulong.MaxValue - 7, 16ul),
            3 => (8ul, ulong.MaxValue - 7),
            _ => (1ul << 55, 8ul),
        };
        guest.Ring!.PutDiscard(Ending.Failure, sector, sectors, (byte)random.Next(256));
    }

    // All but the id: any operation, any count, any sectors, references near those that there are.
    private static void PutAnyBytes(HostileGuest guest, Random random)
    {
        if (!HasRoom(guest))
            return;
        byte operation = (byte)random.Next(random.Next(4) == 0 ? 256 : 8);
        byte second = (byte)random.Next(random.Next(4) == 0 ? 256 : 12);
        ulong id = guest.Ring!.Ledger.Add(operation, Ending.Any, innerOperation: operation == (byte)BlkifOperation.Indirect ? second : null);
        byte* slot = guest.Ring!.PutUnlisted();
        random.NextBytes(new Span<byte>(slot, guest.Ring!.Stride));
        slot[0] = operation;
        slot[1] = second;
        *(ulong*)(slot + guest.Ring!.SectorOffset - 8) = id;
        *(ulong*)(slot + guest.Ring!.SectorOffset) = random.Next(4) == 0 ? (ulong)random.NextInt64() : (ulong)random.Next((int)Sectors);
        for (byte* segment = slot + guest.Ring!.SectorOffset + 8; segment + 8 <= slot + guest.Ring!.Stride; segment += 8)
        {
            *(uint*)segment = random.Next(8) == 0 ? (uint)random.Next() : guest.Estate.Firm(random).Value;
            segment[4] = (byte)random.Next(8);
            segment[5] = (byte)random.Next(random.Next(8) == 0 ? 256 : 8);
        }
    }

    public static bool HasRoom(HostileGuest guest) => guest.Ring is { HasRoom: true };

    private static BlkifOperation Transfer(Random random) => random.Next(3) switch
    {
        0 => BlkifOperation.Read,
        1 => BlkifOperation.Write,
        _ => BlkifOperation.FlushDiskCache,
    };

    // Whole pages where sectors are as large as pages.
    private static BlkifSegment[] Right(HostileGuest guest, Random random, out uint length)
    {
        var segments = new BlkifSegment[random.Next(1, BlkifLimits.MaxSegments + 1)];
        length = 0;
        for (int i = 0; i < segments.Length; i++)
        {
            byte first = guest.Setting.SectorSize == 4096 ? (byte)0 : (byte)random.Next(8);
            byte last = guest.Setting.SectorSize == 4096 ? (byte)7 : (byte)random.Next(first, 8);
            segments[i] = new BlkifSegment(guest.Estate.Firm(random), first, last);
            length += last - (uint)first + 1;
        }

        return segments;
    }

    public static ulong Sector(HostileGuest guest, Random random, uint length)
    {
        uint sector = (uint)random.Next((int)(Sectors - length) + 1);
        return sector - (sector % ((uint)guest.Setting.SectorSize / BlkifLimits.SectorSize));
    }
}
