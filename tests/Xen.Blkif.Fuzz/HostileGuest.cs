using System.Globalization;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Fuzz;

/// <summary>A guest that means harm, and what it has: a ring, pages, an event channel, its nodes in xenstore. Moves are made with it.</summary>
internal sealed unsafe class HostileGuest
{
    public const string Vdev = "xvda";
    public const int VdevNumber = 51712;
    private const int RingHeader = 64;

    private int _put;
    private uint _frozen;
    private bool _misled;

    public HostileGuest(SimulatedXen xen, SimulatedGuest guest, Setting setting, Toolstack toolstack, Findings findings)
    {
        Xen = xen;
        Guest = guest;
        Setting = setting;
        Toolstack = toolstack;
        Findings = findings;
        Ledger = new Ledger(findings);
        Estate = new Estate(guest);
        Stride = setting.Protocol == BlkifProtocol.X64 ? 112 : 108;
        Slots = 32u << setting.RingPageOrder;
        Frontend = $"/local/domain/{guest.Id}/device/vbd/{VdevNumber}";
    }

    public SimulatedXen Xen { get; }

    public SimulatedGuest Guest { get; }

    public Setting Setting { get; }

    public Toolstack Toolstack { get; }

    public Findings Findings { get; }

    public Ledger Ledger { get; }

    public Estate Estate { get; }

    /// <summary>Its half in xenstore.</summary>
    public string Frontend { get; }

    /// <summary>Its ring; none before it has connected and after it has let go.</summary>
    public FrontendQueue? Queue { get; private set; }

    public int Stride { get; }

    public uint Slots { get; }

    /// <summary>Whether it has been destroyed.</summary>
    public bool IsDead { get; private set; }

    /// <summary>Whether it has kept to the protocol since it connected, as far as it takes to get an answer to each request.</summary>
    public bool IsOwedAnswers { get; set; }

    /// <summary>How a request ends that is right in every way.</summary>
    public Ending Hope => Setting.TargetIsSound && IsOwedAnswers && Toolstack.IsSound ? Ending.Success : Ending.Any;

    /// <summary>The ring as numbers: req_prod, req_event, rsp_prod, rsp_event.</summary>
    public uint* Indices => (uint*)Queue!.RingAddress;

    /// <summary>Connects as an honest driver does, whatever was before. It must be let in.</summary>
    public void Connect()
    {
        if (!LetGo())
            return;

        Queue = FrontendQueue.Create(Guest, 0, new FrontendOptions { Protocol = Setting.Protocol, RingPageOrder = Setting.RingPageOrder, Depth = 1, MaxIndirectSegments = 0 });
        _put = 0;
        _frozen = FrozenBytes(Queue);
        _misled = false;
        Write("ring-page-order", Number(Setting.RingPageOrder));
        for (int i = 0; i < Queue.RingReferences.Count; i++)
            Write($"ring-ref{Number(i)}", Queue.RingReferences[i].ToString());
        Write("event-channel", Number(Queue.Channel.Port));
        Write("feature-persistent", Setting.SaysPersistent ? "1" : "0");
        Write("protocol", BlkifProtocols.NameOf(Setting.Protocol));
        Write("state", "3");
        IsOwedAnswers = Patience.Until(() => Toolstack.BackendState == "4");
        Findings.Check(IsOwedAnswers, $"the guest kept to the protocol and was not let in: {Toolstack.Describe()}");
        Write("state", "4");
    }

    /// <summary>Gives its disk back, so that the backend holds nothing of it and waits for its next driver.</summary>
    /// <returns>False where that failed, which is a finding.</returns>
    public bool LetGo()
    {
        Toolstack.Heal();
        Toolstack.NoteSize();
        for (int attempt = 0; attempt < 5 && !Findings.Any; attempt++)
        {
            // A device may have ended meanwhile: the toolstack took it away, or the guest removed its own nodes.
            if (!Toolstack.EnsureAttached(this))
                return false;

            // Through 5, for a 6 that the backend says already may be older than what it is about to do.
            if (!Follows("5", state => state != "6"))
                continue;
            if (!Follows("6", state => state == "6"))
                continue;
            DropRing();
            foreach (string key in Guest.Store.List(Frontend).Where(key => key is not ("state" or "backend" or "backend-id" or "virtual-device" or "device-type")))
                Guest.Store.Remove($"{Frontend}/{key}");
            if (Follows("1", state => state == "2"))
                return true;
        }

        Findings.Check(Findings.Any, $"the disk of a guest that lets go of it stays closed: {Toolstack.Describe()}");
        return false;
    }

    /// <summary>Puts a request into the ring, and returns where it lies: not shown to the backend yet, so that it can be changed.</summary>
    public byte* Put(BlkifOperation operation, Ending ending, ulong sector, ReadOnlySpan<BlkifSegment> segments)
    {
        Queue!.Put(operation, Ledger.Add((byte)operation, ending), sector, segments);
        return Slot((uint)_put++);
    }

    /// <inheritdoc cref="Put"/>
    public byte* PutDiscard(Ending ending, ulong sector, ulong sectors, byte flags)
    {
        Queue!.PutDiscard(Ledger.Add((byte)BlkifOperation.Discard, ending), sector, sectors, flags);
        return Slot((uint)_put++);
    }

    /// <inheritdoc cref="Put"/>
    /// <returns>The request's id.</returns>
    public ulong PutIndirect(byte operation, Ending ending, ulong sector, int segments, GrantReference page)
    {
        ulong id = Ledger.Add((byte)BlkifOperation.Indirect, ending, operation);
        Queue!.PutIndirect((BlkifOperation)operation, id, sector, (ushort)segments, page);
        _put++;
        return id;
    }

    /// <summary>Takes a slot, whose content the caller writes.</summary>
    public byte* PutUnlisted()
    {
        Queue!.Put(BlkifOperation.Read, 0, 0, []);
        return Slot((uint)_put++);
    }

    /// <summary>The slot of a free-running index.</summary>
    public byte* Slot(uint index) => (byte*)Queue!.RingAddress + RingHeader + (index % Slots * Stride);

    /// <summary>A slot of a request that the backend may be at.</summary>
    public byte* AnySlot(Random random) => Slot((uint)random.Next((int)Slots));

    /// <summary>Where the sector number lies in a slot; the segments follow.</summary>
    public int SectorOffset => Setting.Protocol == BlkifProtocol.X64 ? 16 : 12;

    /// <summary>Takes and checks the responses that are there.</summary>
    public void TakeResponses()
    {
        if (Queue is not { } queue)
            return;
        while (queue.TryTake(out FrontendCompletion response))
            Ledger.Close(response);
        Findings.Check(Ledger.IsSpoiled || !queue.IsCorrupt, "the backend shows more responses than there were requests");
    }

    /// <summary>Stops misbehaving, and waits for what it is owed.</summary>
    public void Settle()
    {
        if (Queue is not { } queue || !IsOwedAnswers || Findings.Any)
            return;

        Toolstack.Heal();
        queue.Push();
        queue.Channel.Notify();
        bool answered = Patience.Until(() =>
        {
            TakeResponses();
            return Ledger.Open == 0;
        });
        Findings.Check(answered, $"{Ledger.Open} requests are never answered: {Toolstack.Describe()}");
    }

    /// <summary>The guest has written over its own ring. Nothing is owed to it, and its responses mean nothing.</summary>
    public void Spoil()
    {
        Ledger.Spoil();
        IsOwedAnswers = false;
    }

    /// <summary>The backend may take other memory for the ring by now, or the ring for another kind of ring.</summary>
    public void Mislead()
    {
        _misled = true;
        Spoil();
    }

    /// <summary>Dies without a word.</summary>
    public void Die()
    {
        // What is in its memory is lost with it.
        IsDead = true;
        Queue = null;
        Ledger.Clear();
        Guest.Dispose();
        Findings.Check(Patience.Until(() => Toolstack.HasEnded), $"the device outlives its guest: {Toolstack.Describe()}");
    }

    /// <summary>Frees its ring. The backend must not have it mapped.</summary>
    public void DropRing()
    {
        if (Queue is not { } queue)
            return;

        TakeResponses();
        Queue = null;
        IsOwedAnswers = false;
        Ledger.Clear();
        Findings.Check(_misled || FrozenBytes(queue) == _frozen, "the backend wrote into its ring where no response lies");
        try
        {
            queue.Dispose();
        }
        catch (InvalidOperationException e)
        {
            Findings.Add($"the backend has closed and holds the ring: {e.Message}");
        }
    }

    /// <summary>Writes one of its nodes, if it may: where it has too many, it gets no further one.</summary>
    public void Write(string key, string value)
    {
        try
        {
            Guest.Store.Write($"{Frontend}/{key}", value);
        }
        catch (HypervisorException)
        {
            // That is xenstored's answer to a guest, which has to live with it.
        }
    }

    private bool Follows(string state, Func<string?, bool> isAnswer)
    {
        Write("state", state);
        bool answered = Patience.Until(() => isAnswer(Toolstack.BackendState) || Toolstack.HasEnded);
        Findings.Check(answered, $"the backend does not follow the guest to {state}: {Toolstack.Describe()}");
        return answered && !Toolstack.HasEnded;
    }

    // The rest of the header and what is behind the last slot: no move touches it, and the backend has no business there.
    private uint FrozenBytes(FrontendQueue queue)
    {
        var ring = new ReadOnlySpan<byte>((void*)queue.RingAddress, queue.RingLength);
        uint sum = 0;
        foreach (byte b in ring[16..RingHeader])
            sum = (sum * 31) + b;
        foreach (byte b in ring[(RingHeader + (int)(Slots * Stride))..])
            sum = (sum * 31) + b;
        return sum;
    }

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
