using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Backend;

/// <summary>Walks a device's backend half through its states, each step by what xenstore says now.</summary>
/// <remarks>
/// Watches coalesce and a guest may jump: no step relies on having seen the one before. One step runs at a time.
/// </remarks>
internal sealed class DeviceMachine
{
    private readonly IXenHost _xen;
    private readonly DevicePaths _paths;
    private readonly DomainId _guest;
    private readonly IBlockTarget _target;
    private readonly BackendOptions _options;
    private readonly BackendLog _log;
    private readonly string _name;
    private readonly Action _signal;

    private RingConnection? _connection;

    // Set by the engine's thread, taken by the next step.
    private string? _fault;

    // The frontend was refused or stopped: it has to let go before it may connect again.
    private bool _refused;
    private volatile XenbusState _state = XenbusState.Initialising;
    private volatile IReadOnlyList<QueueStatistics> _queues = [];

    /// <param name="xen">The hypervisor.</param>
    /// <param name="paths">Where the device lives in xenstore.</param>
    /// <param name="guest">The guest.</param>
    /// <param name="name">What to call the device in logs.</param>
    /// <param name="target">The disk.</param>
    /// <param name="options">How it is served.</param>
    /// <param name="signal">Asks for a step; any thread.</param>
    public DeviceMachine(IXenHost xen, DevicePaths paths, DomainId guest, string name, IBlockTarget target, BackendOptions options, Action signal)
    {
        _xen = xen;
        _paths = paths;
        _guest = guest;
        _target = target;
        _options = options;
        _name = name;
        _signal = signal;
        _log = new BackendLog(options.LoggerFactory.CreateLogger(typeof(BlockBackend).FullName!), name);
    }

    /// <summary>The state that the device has announced.</summary>
    public XenbusState State => _state;

    /// <summary>The queues of the present connection, or of the last.</summary>
    public IReadOnlyList<QueueStatistics> Queues => _queues;

    /// <summary>Does what the states of both halves call for.</summary>
    /// <returns>False where the device has ended: detached by the toolstack, or its guest is gone.</returns>
    /// <exception cref="HypervisorException">The store failed; another step may go better.</exception>
    public async Task<bool> StepAsync()
    {
        if (Interlocked.Exchange(ref _fault, null) is { } fault)
            await RefuseAsync(fault).ConfigureAwait(false);

        string? frontendState = _xen.Store.Read(_paths.InFrontend("state"));
        string? online = _xen.Store.Read(_paths.InBackend("online"));
        if (frontendState is null || online is null)
        {
            await CloseAsync().ConfigureAwait(false);
            return false;
        }

        return await FollowAsync(XenbusStates.Parse(frontendState), online is not "0").ConfigureAwait(false);
    }

    /// <summary>Lets go of the ring, when what is under way has been answered, and announces it.</summary>
    public async Task CloseAsync()
    {
        await DisconnectAsync().ConfigureAwait(false);

        // Everything of the guest's is unmapped before it can read that the device is closed and reuse its pages.
        Announce(XenbusState.Closed);
    }

    private async Task<bool> FollowAsync(XenbusState frontend, bool online)
    {
        switch (frontend)
        {
            case XenbusState.Initialising:
                // A frontend that starts has no ring: one that we still serve belongs to a driver that died without closing.
                await DisconnectAsync().ConfigureAwait(false);
                _refused = false;
                if (!online)
                {
                    Announce(XenbusState.Closed);
                    return false;
                }

                Offer();
                return true;

            case XenbusState.Initialised:
            case XenbusState.Connected:
                // A frontend may come here without having waited for our offer, and from 1 straight to 4.
                if (online && !_refused && _connection is null)
                    await ConnectAsync().ConfigureAwait(false);
                return true;

            case XenbusState.Closing:
                // Requests may still come: the frontend writes out what it holds before it says Closed.
                Announce(XenbusState.Closing);
                return true;

            case XenbusState.Closed:
            case XenbusState.Unknown:
                await CloseAsync().ConfigureAwait(false);
                _refused = false;
                return online;

            default:
                return true;
        }
    }

    private void Offer()
    {
        if (_state == XenbusState.InitWait)
            return;
        _xen.Store.Transact(store =>
        {
            if (!Exists(store))
                return;
            FeaturePublisher.Write(store, _paths, _target.Info, _options);
            store.Write(_paths.InBackend("hotplug-status"), "connected");
            store.Remove(_paths.Error);
        });
        Announce(XenbusState.InitWait);
    }

    private async Task ConnectAsync()
    {
        Offer();
        try
        {
            FrontendKeys keys = FrontendKeys.Read(_xen.Store, _paths, _options.MaxRingPageOrder);
            _connection = RingConnection.Open(_xen, _guest, keys, (ring, channel) => EngineOf(keys, ring, channel), $"blkif {_name}", OnEngineFailed);
            _queues = [_connection.Statistics];
            _log.Connected(keys.Protocol, keys.Ring.Length);
            Announce(XenbusState.Connected);
        }
        catch (Exception e) when (e is FrontendException or HypervisorException)
        {
            await RefuseAsync(e.Message).ConfigureAwait(false);
        }
    }

    private RequestEngine EngineOf(FrontendKeys keys, IGrantMapping ring, IEventChannel channel) => RequestEngine.Create(new EngineSettings
    {
        Protocol = keys.Protocol,
        RingAddress = ring.Address,
        RingLength = ring.Length,
        Domain = _guest,
        Grants = _xen.Grants,
        Channel = channel,
        Target = _target,
        Limits = _target.Info.ToRequestLimits(),
        MaxRequests = _options.MaxRequests,
        DeviceName = _name,
        Logger = _options.LoggerFactory.CreateLogger(typeof(RequestEngine).FullName!),
    });

    // On the engine's thread: the step that follows does the work.
    private void OnEngineFailed(Exception? exception)
    {
        _fault = exception is null
            ? "the frontend wrote impossible indices into the ring"
            : $"serving failed with {exception.GetType().Name}: {exception.Message}";
        _signal();
    }

    private async Task RefuseAsync(string reason)
    {
        _refused = true;
        _log.Failed(reason);
        await DisconnectAsync().ConfigureAwait(false);
        _xen.Store.Transact(store =>
        {
            if (Exists(store))
                store.Write(_paths.Error, reason);
        });
        Announce(XenbusState.Closing);
    }

    private async Task DisconnectAsync()
    {
        RingConnection? connection = _connection;
        _connection = null;
        if (connection is not null && !await connection.CloseAsync().ConfigureAwait(false))
            _log.MemoryKept();

        // What the engine of this connection still had to report is over with it.
        Interlocked.Exchange(ref _fault, null);
    }

    // Never into nodes that a toolstack has removed: a write would bring them back, and they would stand in the way of the next attach.
    private void Announce(XenbusState state)
    {
        if (_state == state)
            return;
        _xen.Store.Transact(store =>
        {
            if (Exists(store))
                store.Write(_paths.InBackend("state"), state.ToText());
        });
        _state = state;
        _log.State(state);
    }

    private bool Exists(IXenStoreAccess store) => store.Read(_paths.InBackend("frontend")) is not null;
}
