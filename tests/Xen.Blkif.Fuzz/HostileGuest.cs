using System.Globalization;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Fuzz;

/// <summary>A guest that means harm, and what it has: rings, pages, event channels, its nodes in xenstore. Moves are made with it.</summary>
internal sealed class HostileGuest
{
    public const string Vdev = "xvda";
    public const int VdevNumber = 51712;

    private readonly Ledger[] _ledgers;
    private HostileRing[] _rings = [];
    private int _chosen;
    private bool _misled;
    private int? _processesWhenClosed;

    public HostileGuest(SimulatedXen xen, SimulatedGuest guest, Setting setting, Toolstack toolstack, Findings findings)
    {
        Xen = xen;
        Guest = guest;
        Setting = setting;
        Toolstack = toolstack;
        Findings = findings;
        _ledgers = [.. Enumerable.Range(0, Setting.MaxQueues).Select(ring => new Ledger(findings, ring))];
        Estate = new Estate(guest);
        Frontend = $"/local/domain/{guest.Id}/device/vbd/{VdevNumber}";
    }

    public SimulatedXen Xen { get; }

    public SimulatedGuest Guest { get; }

    public Setting Setting { get; }

    public Toolstack Toolstack { get; }

    public Findings Findings { get; }

    public Estate Estate { get; }

    /// <summary>Its half in xenstore.</summary>
    public string Frontend { get; }

    /// <summary>Its rings; none before it has connected and after it has let go.</summary>
    public IReadOnlyList<HostileRing> Rings => _rings;

    /// <summary>The ring that the present move is about.</summary>
    public HostileRing? Ring => _rings.Length > 0 ? _rings[_chosen % _rings.Length] : null;

    /// <summary>Requests of all rings without a response.</summary>
    public int Open => _ledgers.Sum(ledger => ledger.Open);

    /// <summary>Responses that were held against their requests.</summary>
    public long Answers => _ledgers.Sum(ledger => ledger.Closed);

    /// <summary>Whether it has been destroyed.</summary>
    public bool IsDead { get; private set; }

    /// <summary>Whether it has kept to the protocol since it connected, as far as it takes to get an answer to each request.</summary>
    public bool IsOwedAnswers { get; set; }

    /// <summary>How a request ends that is right in every way.</summary>
    public Ending Hope => Setting.TargetIsSound && IsOwedAnswers && Toolstack.IsSound ? Ending.Success : Ending.Any;

    /// <summary>Chooses the ring of the moves that follow.</summary>
    /// <param name="number">Any, from 0.</param>
    public void Choose(int number) => _chosen = number;

    /// <summary>Whether a request waits for its response, in whichever ring.</summary>
    public bool IsOpen(ulong id) => _ledgers.Any(ledger => ledger.IsOpen(id));

    /// <summary>Connects as an honest driver does, whatever was before. It must be let in.</summary>
    public void Connect()
    {
        if (!LetGo())
            return;

        Offer(Setting.Queues);
        Toolstack.TrustBarriers(true);
        Write("state", "3");
        IsOwedAnswers = Patience.Until(() => Toolstack.BackendState == "4");
        Findings.Check(IsOwedAnswers, $"the guest kept to the protocol and was not let in: {Toolstack.Describe()}");
        Write("state", "4");
    }

    /// <summary>Makes its rings and writes where they are, but not yet its state.</summary>
    public void Offer(int queues)
    {
        _rings = [.. Enumerable.Range(0, queues).Select(ring => new HostileRing(Guest, Setting, _ledgers[ring]))];
        _misled = false;
        _processesWhenClosed = null;
        Write("ring-page-order", Number(Setting.RingPageOrder));
        if (queues > 1)
            Write("multi-queue-num-queues", Number(queues));
        for (int i = 0; i < queues; i++)
            Offer(_rings[i].Queue, queues > 1 ? $"queue-{Number(i)}/" : "");
        Write("feature-persistent", Setting.SaysPersistent ? "1" : "0");
        Write("protocol", BlkifProtocols.NameOf(Setting.Protocol));
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
            DropRings();
            foreach (string key in Guest.Store.List(Frontend).Where(key => key is not ("state" or "backend" or "backend-id" or "virtual-device" or "device-type")))
                Guest.Store.Remove($"{Frontend}/{key}");
            if (Follows("1", state => state == "2"))
                return true;
        }

        Findings.Check(Findings.Any, $"the disk of a guest that lets go of it stays closed: {Toolstack.Describe()}");
        return false;
    }

    /// <summary>Takes and checks the responses that are there, in all rings.</summary>
    public void TakeResponses()
    {
        // A ring that its guest has declared closed is not taken back from a process that was killed. To one that opens it once more, it is a
        // ring without history, in which some responses lie where there were requests.
        if (_processesWhenClosed is { } processes && Toolstack.Processes != processes)
            Spoil();
        foreach (HostileRing ring in _rings)
            ring.TakeResponses(Findings);
    }

    /// <summary>Stops misbehaving, and waits for what it is owed. Backends that are about to be killed are, and others come after them.</summary>
    public void Settle()
    {
        if (_rings.Length == 0 || !IsOwedAnswers || Findings.Any)
            return;

        Toolstack.Heal();
        foreach (HostileRing ring in _rings)
        {
            ring.Queue.Push();
            ring.Queue.Channel.Notify();
        }

        bool answered = Patience.Until(() =>
        {
            Toolstack.Revive();
            TakeResponses();
            return Open == 0 || Findings.Any || Toolstack.IsLost;
        });
        Findings.Check(answered, $"{Open} requests are never answered: {Toolstack.Describe()}");
    }

    /// <summary>Something was changed under the requests of all rings: they may end in either way.</summary>
    public void Doubt()
    {
        foreach (Ledger ledger in _ledgers)
            ledger.Doubt();
    }

    /// <summary>Says that its half is in a state, whether that is so or not.</summary>
    public void Tell(string state)
    {
        IsOwedAnswers = false;
        if (state is not ("2" or "3" or "4" or "5" or "7" or "8"))
            _processesWhenClosed ??= Toolstack.Processes;
        Write("state", state);
    }

    /// <summary>The guest has written over a ring of its own. Nothing is owed to it, and the responses there mean nothing.</summary>
    public void Spoil(HostileRing ring)
    {
        ring.Ledger.Spoil();
        IsOwedAnswers = false;
        Toolstack.TrustBarriers(false);
    }

    /// <summary>The same of all its rings.</summary>
    public void Spoil()
    {
        foreach (Ledger ledger in _ledgers)
            ledger.Spoil();
        IsOwedAnswers = false;
        Toolstack.TrustBarriers(false);
    }

    /// <summary>The backend may take other memory for the rings by now, or the rings for other kinds of rings.</summary>
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
        Forget();
        Guest.Dispose();
        Toolstack.Start();
        Findings.Check(Patience.Until(() => Toolstack.HasEnded), $"the device outlives its guest: {Toolstack.Describe()}");
    }

    /// <summary>Frees its rings. The backend must not have them mapped.</summary>
    public void DropRings()
    {
        TakeResponses();
        HostileRing[] dropped = _rings;
        Forget();
        foreach (HostileRing ring in dropped)
        {
            Findings.Check(_misled || ring.IsUntouched, "the backend wrote into its ring where no response lies");
            try
            {
                ring.Queue.Dispose();
            }
            catch (InvalidOperationException e)
            {
                Findings.Add($"the backend has closed and holds the ring: {e.Message}");
            }
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

    private void Offer(FrontendQueue queue, string folder)
    {
        for (int i = 0; i < queue.RingReferences.Count; i++)
            Write($"{folder}ring-ref{Number(i)}", queue.RingReferences[i].ToString());
        Write($"{folder}event-channel", Number(queue.Channel.Port));
    }

    private void Forget()
    {
        _rings = [];
        IsOwedAnswers = false;
        foreach (Ledger ledger in _ledgers)
            ledger.Clear();
    }

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
