using System.Globalization;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Backend;

/// <summary>Walks a device's backend half through its states, each step by what xenstore says now.</summary>
/// <remarks>
/// Watches coalesce and a guest may jump: no step relies on having seen the one before. One step runs at a time. A step that the store
/// fails is run again: whatever it had done already, the next one finds and goes on from there.
/// </remarks>
internal sealed class DeviceMachine
{
    private readonly IXenHost _xen;
    private readonly DevicePaths _paths;
    private readonly BackendNodes _nodes;
    private readonly DomainId _guest;
    private readonly IBlockTarget _target;
    private readonly DiskDescription _disk;
    private readonly BackendOptions _options;
    private readonly BackendLog _log;
    private readonly string _name;
    private readonly JournalFile? _journal;
    private readonly Action _signal;

    // One for all connections: a guest that connects again and again gets no fresh budget of lines.
    private readonly EngineLog _engineLog;

    private readonly BarrierGate? _barriers;
    private DeviceConnection? _connection;

    // Set by the engine's thread, taken by the next step.
    private string? _fault;

    // Why the frontend was refused or stopped: it has to let go before it may connect again.
    private string? _refusal;
    private bool _refusalExplained;
    private volatile XenbusState _state = XenbusState.Initialising;
    private volatile IReadOnlyList<QueueStatistics> _queues = [];
    private volatile BackendConnection? _agreed;

    /// <param name="xen">The hypervisor.</param>
    /// <param name="paths">Where the device lives in xenstore.</param>
    /// <param name="guest">The guest.</param>
    /// <param name="name">What to call the device in logs.</param>
    /// <param name="target">The disk.</param>
    /// <param name="options">How it is served.</param>
    /// <param name="log">Hears of it.</param>
    /// <param name="journal">Where it notes what it owes the guest; null where that need not outlive the process.</param>
    /// <param name="signal">Asks for a step; any thread.</param>
    public DeviceMachine(
        IXenHost xen, DevicePaths paths, DomainId guest, string name, IBlockTarget target, BackendOptions options, BackendLog log, JournalFile? journal, Action signal)
    {
        _xen = xen;
        _paths = paths;
        _nodes = new BackendNodes(xen.Store, paths);
        _guest = guest;
        _target = target;
        _disk = new DiskDescription(target, log);
        _options = options;
        _name = name;
        _log = log;
        _journal = journal;
        _signal = signal;
        _barriers = options.OffersBarriers ? new BarrierGate() : null;
        _engineLog = new EngineLog(options.LoggerFactory.CreateLogger(typeof(RequestEngine).FullName!), name);
    }

    /// <summary>The state that the device has announced.</summary>
    public XenbusState State => _state;

    /// <summary>The queues of the present connection, or of the last.</summary>
    public IReadOnlyList<QueueStatistics> Queues => _queues;

    /// <summary>What the present connection has agreed on; null without one.</summary>
    public BackendConnection? Agreed => _agreed;

    /// <summary>Has the next step read the target's length again. Any thread.</summary>
    public void RefreshSize() => _disk.AskForLength();

    /// <summary>Does what the states of both halves call for.</summary>
    /// <returns>False where the device has ended: detached by the toolstack, or its guest is gone.</returns>
    /// <exception cref="HypervisorException">The store failed; another step may go better.</exception>
    public async Task<bool> StepAsync()
    {
        if (Interlocked.Exchange(ref _fault, null) is { } fault)
            await RefuseAsync(fault).ConfigureAwait(false);

        string? frontend = _xen.Store.Read(_paths.InFrontend("state"));
        string? online = _xen.Store.Read(_paths.InBackend("online"));
        if (frontend is null || online is null)
            return false;

        _disk.Terms = ToolstackTerms.Read(_xen.Store, _paths, _options);

        try
        {
            if (_state == XenbusState.Initialising)
                await TakeBackAsync(XenbusStates.Parse(frontend)).ConfigureAwait(false);
            FollowSize();
            return await FollowAsync(XenbusStates.Parse(frontend), online is not "0").ConfigureAwait(false);
        }
#pragma warning disable CA1031 // a target that throws costs the guest this disk, not the process its other devices
        catch (Exception e) when (e is not HypervisorException)
#pragma warning restore CA1031
        {
            await RefuseAsync(Describe(e)).ConfigureAwait(false);
            return true;
        }
    }

    /// <summary>Lets go of the ring, when what is under way has been answered.</summary>
    public async Task DisconnectAsync()
    {
        DeviceConnection? connection = _connection;
        _connection = null;
        _agreed = null;
        if (connection is not null)
            await connection.CloseAsync(_log).ConfigureAwait(false);

        // What the engine of this connection still had to report is over with it.
        Interlocked.Exchange(ref _fault, null);
    }

    /// <summary>Announces that the device has ended. Everything of the guest's is unmapped by then: it may reuse its pages.</summary>
    /// <exception cref="HypervisorException">The store failed.</exception>
    public void AnnounceEnd()
    {
        _nodes.AnnounceEnd();
        Note(XenbusState.Closed);
    }

    /// <summary>Asks the guest for the disk.</summary>
    /// <exception cref="HypervisorException">The store failed.</exception>
    public void RequestDetach() => _nodes.RequestDetach();

    /// <summary>Goes on where a process was killed that had this device connected, if its journal says what it owed. The guest sees nothing of it.</summary>
    private async Task TakeBackAsync(XenbusState frontend)
    {
        XenbusState left = XenbusStates.Parse(_xen.Store.Read(_paths.InBackend("state")));
        bool wasConnected = left is XenbusState.Connected or XenbusState.Closing;
        bool hasRing = frontend is XenbusState.Initialised or XenbusState.Connected or XenbusState.Closing;
        if (_journal is null || !wasConnected || !hasRing || ReadConnectedKeys() is not { } keys || !_journal.IsAbout(keys))
            return;

        // What the guest was offered stays as it is: it has read it. Only a new size is news to it.
        _ = long.TryParse(_xen.Store.Read(_paths.InBackend("sectors")), NumberStyles.None, CultureInfo.InvariantCulture, out long sectors);
        _disk.ReadAsTold(sectors);
        DeviceConnection connection = await ConnectAsync(keys).ConfigureAwait(false);
        connection.NotifyGuest();
        _log.TakenBack(connection.Agreed);
        Note(left);
    }

    private FrontendKeys? ReadConnectedKeys()
    {
        try
        {
            return FrontendKeys.ReadConnected(_xen.Store, _paths);
        }
        catch (FrontendException)
        {
            // A driver that came after the one that was connected, and has not said yet where its queues are.
            return null;
        }
    }

    private async Task<bool> FollowAsync(XenbusState frontend, bool online)
    {
        switch (frontend)
        {
            case XenbusState.Initialising:
                // A frontend that starts has no ring: one that we still serve belongs to a driver that died without closing.
                await LetGoAsync().ConfigureAwait(false);
                if (online)
                    Offer();
                return online;

            case XenbusState.Initialised:
            case XenbusState.Connected:
                if (_refusal is not null)
                    TellRefusal();
                else if (online)
                    await ServeAsync().ConfigureAwait(false);
                return true;

            case XenbusState.Closing:
                // Requests may still come: the frontend writes out what it holds before it says Closed.
                Announce(XenbusState.Closing);
                return true;

            case XenbusState.Closed:
            case XenbusState.Unknown:
                await LetGoAsync().ConfigureAwait(false);
                Announce(XenbusState.Closed);
                return online;

            default:
                return true;
        }
    }

    /// <summary>Makes the target's length that of the disk, where somebody asked for it. A device that is closed has it in its next offer.</summary>
    private void FollowSize()
    {
        // The limits first: the guest hears of a new part when it is served, and nothing beyond a new end reaches the target from here on.
        if (_disk.TryReadNewLength())
            _connection?.Resize(_disk.Sectors);

        if (_disk.HasNewLength && _state is XenbusState.InitWait or XenbusState.Connected)
        {
            _nodes.Resize(_disk.Sectors);
            _disk.NoteTold();
        }
    }

    private void Offer()
    {
        if (_state == XenbusState.InitWait)
            return;
        _journal?.Forget();
        _nodes.Offer(_disk.Read(), _disk.Terms, _options);
        _disk.NoteTold();
        Note(XenbusState.InitWait);
    }

    /// <summary>Connects to the queues that the frontend says it has, unless those are connected.</summary>
    private async Task ServeAsync()
    {
        FrontendKeys? keys;
        try
        {
            keys = FrontendKeys.Read(_xen.Store, _paths, _options);
        }
        catch (FrontendException) when (_connection is not null)
        {
            // The next driver may be halfway through writing its keys; its state will say when it is done.
            return;
        }
        catch (FrontendException e)
        {
            await RefuseAsync(e.Message).ConfigureAwait(false);
            return;
        }

        if (keys is null)
            return;

        // Other keys than those of our queues: a driver died and the next one was quicker than our look at its state.
        if (_connection is not null && !_connection.Keys.Equals(keys))
            await DisconnectAsync().ConfigureAwait(false);

        if (_connection is null)
        {
            // A frontend may come here without having waited for our offer, and from 1 straight to 4.
            Offer();
            if (!await TryConnectAsync(keys).ConfigureAwait(false))
                return;
        }

        if (_state != XenbusState.Connected)
            Announce(XenbusState.Connected);
    }

    private async Task<bool> TryConnectAsync(FrontendKeys keys)
    {
        try
        {
            _journal?.Begin(keys);
            _log.Connected((await ConnectAsync(keys).ConfigureAwait(false)).Agreed);
            return true;
        }
        catch (HypervisorException e)
        {
            await RefuseAsync(e.Message).ConfigureAwait(false);
            return false;
        }
    }

    private async Task<DeviceConnection> ConnectAsync(FrontendKeys keys)
    {
        DeviceConnection connection = await DeviceConnection.OpenAsync(
            keys,
            queue => RingConnection.Open(_xen, _guest, keys.Queues[queue], (ring, channel) => EngineOf(keys, queue, ring, channel)),
            (queue, ring) => ring.Start($"blkif {_name} {queue}", exception => OnEngineFailed(queue, exception)),
            MemoryFor(keys),
            _log).ConfigureAwait(false);
        _connection = connection;
        _queues = connection.Statistics;
        _agreed = connection.Agreed;
        return connection;
    }

    private RequestEngine EngineOf(FrontendKeys keys, int queue, IGrantMapping ring, IEventChannel channel) => RequestEngine.Create(new EngineSettings
    {
        Protocol = keys.Protocol,
        RingAddress = ring.Address,
        RingLength = ring.Length,
        Domain = _guest,
        Grants = _xen.Grants,
        Channel = channel,
        Target = _target,
        WaitsInTarget = true,
        Limits = _disk.Info.ToRequestLimits(_options.MaxIndirectSegments, _options.OffersBarriers),
        FlushFailure = _options.FlushFailure,
        Barriers = _barriers,
        MaxRequests = _options.MaxRequests,
        MaxIndirectRequests = _options.MaxIndirectRequests,
        MaxBufferPages = _options.MaxBufferPages,
        MemoryBudget = _options.MemoryBudget,
        MaxPollTime = _options.MaxPollTime,
        GuestMemory = MemoryFor(keys),
        MaxPersistentGrants = _options.MaxPersistentGrants,
        PersistentGrantTimeout = _options.PersistentGrantTimeout,
        Log = _engineLog,
        Journal = _journal?.JournalOf(queue),
    });

    // A guest that grants other pages with each request gains nothing from their staying mapped.
    private GuestMemoryAccess MemoryFor(FrontendKeys keys) =>
        _options.GuestMemory == GuestMemoryAccess.Persistent && !keys.IsPersistent ? GuestMemoryAccess.Copy : _options.GuestMemory;

    // On the engine's thread: the step that follows does the work.
    private void OnEngineFailed(int queue, Exception? exception)
    {
        _fault = exception is null ? $"the frontend wrote impossible indices into the ring of queue {queue}" : Describe(exception);
        _signal();
    }

    private async Task RefuseAsync(string reason)
    {
        _refusal = reason;
        _refusalExplained = false;
        _log.Failed(reason);
        await DisconnectAsync().ConfigureAwait(false);
        TellRefusal();
    }

    private void TellRefusal()
    {
        if (!_refusalExplained)
            _nodes.Explain(_refusal!);
        _refusalExplained = true;
        Announce(XenbusState.Closing);
    }

    private async Task LetGoAsync()
    {
        await DisconnectAsync().ConfigureAwait(false);
        _refusal = null;
    }

    // What was announced last does not count: a toolstack that wants the disk back writes Closing itself, whatever we said before.
    private void Announce(XenbusState state)
    {
        _nodes.Announce(state);
        Note(state);
    }

    private void Note(XenbusState state)
    {
        if (_state == state)
            return;
        _state = state;
        _log.State(state);
    }

    private static string Describe(Exception e) => $"serving failed with {e.GetType().Name}: {e.Message}";
}
