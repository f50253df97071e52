using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Fuzz;

/// <summary>One of the rings that the hostile guest shares with its backend, and what it is owed there.</summary>
internal sealed unsafe class HostileRing
{
    private const int Header = 64;

    private readonly BlkifProtocol _protocol;
    private readonly uint _frozen;
    private int _put;

    public HostileRing(SimulatedGuest guest, Setting setting, Ledger ledger)
    {
        Queue = FrontendQueue.Create(guest, 0, new FrontendOptions { Protocol = setting.Protocol, RingPageOrder = setting.RingPageOrder, Depth = 1, MaxIndirectSegments = 0 });
        Ledger = ledger;
        _protocol = setting.Protocol;
        Stride = setting.Protocol == BlkifProtocol.X64 ? 112 : 108;
        Slots = 32u << setting.RingPageOrder;
        _frozen = FrozenBytes();
    }

    public FrontendQueue Queue { get; }

    /// <summary>The requests that wait for their responses.</summary>
    public Ledger Ledger { get; }

    public uint Slots { get; }

    /// <summary>Bytes of a slot.</summary>
    public int Stride { get; }

    /// <summary>Where the sector number lies in a slot; the segments follow.</summary>
    public int SectorOffset => _protocol == BlkifProtocol.X64 ? 16 : 12;

    /// <summary>The ring as numbers: req_prod, req_event, rsp_prod, rsp_event.</summary>
    public uint* Indices => (uint*)Queue.RingAddress;

    public bool HasRoom => Queue.Free > 0 && !Ledger.IsSpoiled;

    /// <summary>Whether the rest of the header and what is behind the last slot are as they were: no move touches them, and the backend has no business there.</summary>
    public bool IsUntouched => FrozenBytes() == _frozen;

    /// <summary>Puts a request into the ring, and returns where it lies: not shown to the backend yet, so that it can be changed.</summary>
    public byte* Put(BlkifOperation operation, Ending ending, ulong sector, ReadOnlySpan<BlkifSegment> segments)
    {
        Queue.Put(operation, Ledger.Add((byte)operation, ending), sector, segments);
        return Slot((uint)_put++);
    }

    /// <inheritdoc cref="Put"/>
    public byte* PutDiscard(Ending ending, ulong sector, ulong sectors, byte flags)
    {
        Queue.PutDiscard(Ledger.Add((byte)BlkifOperation.Discard, ending), sector, sectors, flags);
        return Slot((uint)_put++);
    }

    /// <inheritdoc cref="Put"/>
    /// <returns>The request's id.</returns>
    public ulong PutIndirect(byte operation, Ending ending, ulong sector, int segments, GrantReference page)
    {
        ulong id = Ledger.Add((byte)BlkifOperation.Indirect, ending, operation);
        Queue.PutIndirect((BlkifOperation)operation, id, sector, (ushort)segments, page);
        _put++;
        return id;
    }

    /// <summary>Takes a slot, whose content the caller writes.</summary>
    public byte* PutUnlisted()
    {
        Queue.Put(BlkifOperation.Read, 0, 0, []);
        return Slot((uint)_put++);
    }

    /// <summary>A slot of a request that the backend may be at.</summary>
    public byte* AnySlot(Random random) => Slot((uint)random.Next((int)Slots));

    /// <summary>Takes and checks the responses that are there.</summary>
    public void TakeResponses(Findings findings)
    {
        while (Queue.TryTake(out FrontendCompletion response))
            Ledger.Close(response);
        findings.Check(Ledger.IsSpoiled || !Queue.IsCorrupt, "the backend shows more responses than there were requests");
    }

    // Of a free-running index.
    private byte* Slot(uint index) => (byte*)Queue.RingAddress + Header + (index % Slots * Stride);

    private uint FrozenBytes()
    {
        var ring = new ReadOnlySpan<byte>((void*)Queue.RingAddress, Queue.RingLength);
        uint sum = 0;
        foreach (byte b in ring[16..Header])
            sum = (sum * 31) + b;
        foreach (byte b in ring[(Header + (int)(Slots * Stride))..])
            sum = (sum * 31) + b;
        return sum;
    }
}
