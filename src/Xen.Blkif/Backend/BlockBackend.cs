using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Backend;

/// <summary>One virtual disk of a guest, served from a target: from xenstore to the ring and back.</summary>
/// <remarks>
/// Thread-safe. The guest may connect, close and connect again as often as it likes. Everything it writes, in memory or in xenstore, is
/// taken for hostile; a guest that breaks the protocol loses this disk until it lets go of it, and nothing else suffers.
/// </remarks>
public sealed class BlockBackend : IAsyncDisposable
{
    private const int LastAttempts = 5;

    // Names of files in the state folder: what was attached is not taken back as if a toolstack had offered it, and the other way round.
    private const string Attached = "attached", Served = "served";

    private static readonly TimeSpan RetryAfterFailure = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PauseBetweenLastAttempts = TimeSpan.FromMilliseconds(50);

    private readonly IXenHost _xen;
    private readonly DevicePaths _paths;
    private readonly BackendOptions _options;
    private readonly bool _ownsNodes;
    private readonly JournalFile? _journal;
    private readonly DeviceMachine _machine;
    private readonly BackendLog _log;

    private readonly StepSignal _signal = new();
    private readonly TaskCompletionSource<bool> _offered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _detach;
    private volatile bool _abandon;

    private BlockBackend(
        IXenHost xen, DomainId guest, VirtualDevice device, IBlockTarget target, BackendOptions options, bool ownsNodes, JournalFile? journal)
    {
        _xen = xen;
        _options = options;
        _ownsNodes = ownsNodes;
        _journal = journal;
        _paths = new DevicePaths(xen.Domain, options.BackendType, guest, device);
        Name = $"{guest}/{device}";
        _log = new BackendLog(options.LoggerFactory.CreateLogger(typeof(BlockBackend).FullName!), Name);
        _machine = new DeviceMachine(xen, _paths, guest, Name, target, options, _log, journal, _signal.Raise);
        Completion = Task.Run(RunAsync);
    }

    /// <summary>The guest and the device, for people: <c>5/xvda</c>.</summary>
    public string Name { get; }

    /// <summary>The backend's half in xenstore.</summary>
    public string Path => _paths.Backend;

    /// <summary>The state that the device has announced.</summary>
    public XenbusState State => _machine.State;

    /// <summary>The statistics of each queue of the present connection, or of the last.</summary>
    public IReadOnlyList<QueueStatistics> Queues => _machine.Queues;

    /// <summary>What the guest and the device have agreed on; <see langword="null"/> while no ring is connected.</summary>
    public BackendConnection? Connection => _machine.Agreed;

    /// <summary>Completes when the device has ended: the toolstack detached it, its guest is gone, or it was disposed.</summary>
    public Task Completion { get; }

    /// <summary>Gives a guest a disk: makes its nodes in xenstore, as a toolstack does, and serves it. Disposing takes the disk away again.</summary>
    /// <remarks>
    /// With a <see cref="BackendOptions.StateFolder"/>, a disk whose process was killed is taken back as it is. The target and the options have
    /// to be the same then.
    /// </remarks>
    /// <param name="xen">The hypervisor. Outlives the device.</param>
    /// <param name="guest">The guest, which must exist.</param>
    /// <param name="vdev">The disk's name, as in <see cref="VirtualDevice.Parse"/>.</param>
    /// <param name="target">The storage. Outlives the device.</param>
    /// <param name="options">How; <see langword="null"/> for the defaults.</param>
    /// <returns>The device, when it is offered to the guest, which connects in its own time.</returns>
    /// <exception cref="FormatException">The name names no disk.</exception>
    /// <exception cref="HypervisorException">The guest does not exist or has such a disk already, or xenstore failed. No node is left behind.</exception>
    /// <exception cref="IOException">No file can be made in the state folder.</exception>
    public static async Task<BlockBackend> AttachAsync(IXenHost xen, DomainId guest, string vdev, IBlockTarget target, BackendOptions? options = null)
    {
        options ??= new BackendOptions();
        VirtualDevice device = VirtualDevice.Parse(vdev);
        var paths = new DevicePaths(xen.Domain, options.BackendType, guest, device);
        JournalFile? journal = OpenJournal(options, paths, Attached);
        try
        {
            if (journal is not { WasLeft: true } || !DeviceNodes.AreThere(xen.Store, paths))
                DeviceNodes.Create(xen, paths, guest, device, target.Info, options);
        }
        catch
        {
            journal?.Close(hasEnded: !journal.WasLeft);
            throw;
        }

        return await new BlockBackend(xen, guest, device, target, options, ownsNodes: true, journal).OfferedAsync().ConfigureAwait(false);
    }

    /// <summary>Serves a disk whose nodes a toolstack has made. Disposing closes it and leaves the nodes alone.</summary>
    /// <remarks>
    /// With a <see cref="BackendOptions.StateFolder"/>, a disk whose process was killed is taken back as it is. The target and the options have
    /// to be the same then.
    /// </remarks>
    /// <param name="xen">The hypervisor. Outlives the device.</param>
    /// <param name="guest">The guest.</param>
    /// <param name="vdev">The disk's name, as in <see cref="VirtualDevice.Parse"/>.</param>
    /// <param name="target">The storage. Outlives the device.</param>
    /// <param name="options">How; <see langword="null"/> for the defaults.</param>
    /// <returns>The device, when it is offered to the guest.</returns>
    /// <exception cref="FormatException">The name names no disk.</exception>
    /// <exception cref="HypervisorException">There are no such nodes, another process serves the disk, or xenstore failed.</exception>
    /// <exception cref="IOException">No file can be made in the state folder.</exception>
    public static async Task<BlockBackend> ServeAsync(IXenHost xen, DomainId guest, string vdev, IBlockTarget target, BackendOptions? options = null)
    {
        options ??= new BackendOptions();
        VirtualDevice device = VirtualDevice.Parse(vdev);
        JournalFile? journal = OpenJournal(options, new DevicePaths(xen.Domain, options.BackendType, guest, device), Served);
        return await ServeAsync(xen, guest, device, target, options, journal).ConfigureAwait(false);
    }

    /// <summary>
    /// Asks a guest for a disk, as a toolstack does, and returns at once. Whoever serves it, in whichever process, closes it when the guest
    /// has let go; its <c>state</c> is 6 then, or its nodes are gone.
    /// </summary>
    /// <param name="xen">The hypervisor.</param>
    /// <param name="guest">The guest.</param>
    /// <param name="vdev">The disk's name, as in <see cref="VirtualDevice.Parse"/>.</param>
    /// <param name="backendType">The <see cref="BackendOptions.BackendType"/> that it is served under.</param>
    /// <returns>False where the guest has no such disk.</returns>
    /// <exception cref="FormatException">The name names no disk.</exception>
    /// <exception cref="HypervisorException">Xenstore failed.</exception>
    public static bool RequestDetach(IXenHost xen, DomainId guest, string vdev, string backendType) =>
        new BackendNodes(xen.Store, new DevicePaths(xen.Domain, backendType, guest, VirtualDevice.Parse(vdev))).RequestDetach();

    /// <summary>
    /// Asks for the target's length to be read again, and returns at once. Where it is another than the guest was told, the guest is told, also
    /// while it uses the disk, and a line says so at level Information, or Warning for a disk that became smaller. A guest that is not connected
    /// gets the new size when it is. A length that no disk can have changes nothing but the log, and after the device has ended nothing happens.
    /// </summary>
    /// <remarks>
    /// To make a disk larger: first the storage, then this. To make it smaller: first what the guest has on it, then the storage, then this;
    /// until then the guest's requests beyond the new end reach the target.
    /// </remarks>
    public void RefreshSize()
    {
        _machine.RefreshSize();
        _signal.Raise();
    }

    /// <summary>
    /// Ends the device. A disk that was attached here is first asked back from the guest, which gets <see cref="BackendOptions.DetachTimeout"/>
    /// to agree. Returns when requests under way are answered and nothing of the guest's is mapped or bound any more.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (_ownsNodes)
        {
            _detach = true;
            _signal.Raise();
            using var patience = new CancellationTokenSource();
            await Task.WhenAny(Completion, Task.Delay(_options.DetachTimeout, patience.Token)).ConfigureAwait(false);
            patience.Cancel();
        }

        _abandon = true;
        _signal.Raise();
        await Completion.ConfigureAwait(false);
    }

    /// <summary>Serves a disk whose nodes a toolstack has made, with a journal that is open already and is closed with the device.</summary>
    internal static Task<BlockBackend> ServeAsync(
        IXenHost xen, DomainId guest, VirtualDevice device, IBlockTarget target, BackendOptions options, JournalFile? journal) =>
        new BlockBackend(xen, guest, device, target, options, ownsNodes: false, journal).OfferedAsync();

    /// <summary>Whether a process served a toolstack's disk and did not come to the end of it: it serves it yet, or was killed.</summary>
    internal static bool IsLeft(BackendOptions options, DevicePaths paths) =>
        options.StateFolder is { } folder && File.Exists(paths.JournalIn(folder, Served));

    /// <summary>Opens the journal of a toolstack's disk.</summary>
    /// <returns>False where a process that lives has it. Without a state folder there is none, which is no failure.</returns>
    internal static bool TryOpenJournal(BackendOptions options, DevicePaths paths, out JournalFile? journal) =>
        TryOpenJournal(options, paths, Served, out journal);

    private static bool TryOpenJournal(BackendOptions options, DevicePaths paths, string part, out JournalFile? journal)
    {
        journal = options.StateFolder is { } folder ? JournalFile.TryOpen(paths.JournalIn(folder, part)) : null;
        return journal is not null || options.StateFolder is null;
    }

    private static JournalFile? OpenJournal(BackendOptions options, DevicePaths paths, string part) =>
        TryOpenJournal(options, paths, part, out JournalFile? journal)
            ? journal
            : throw new HypervisorException($"The disk {paths.Backend} is served by another process already.");

    private async Task<BlockBackend> OfferedAsync()
    {
        if (await Task.WhenAny(_offered.Task, Completion).ConfigureAwait(false) == _offered.Task)
            return this;

        await Completion.ConfigureAwait(false);
        throw new HypervisorException($"The disk {Name} could not be offered: {Path} or its frontend's half is not in xenstore; let the toolstack make both halves first.");
    }

    private async Task RunAsync()
    {
        bool hasEnded = false;
        try
        {
            // The backend's half is watched too: that is where a toolstack asks for the disk back, and where it vanishes.
            using IDisposable backend = _xen.Store.Watch(_paths.Backend, _ => _signal.Raise());
            using IDisposable frontend = _xen.Store.Watch(_paths.InFrontend("state"), _ => _signal.Raise());
            try
            {
                await FollowAsync().ConfigureAwait(false);
            }
            finally
            {
                await _machine.DisconnectAsync().ConfigureAwait(false);
                hasEnded = await InsistAsync(_machine.AnnounceEnd).ConfigureAwait(false);
            }
        }
        finally
        {
            if (_ownsNodes)
                hasEnded = await InsistAsync(() => DeviceNodes.Remove(_xen.Store, _paths)).ConfigureAwait(false);
            _journal?.Close(hasEnded);
        }
    }

    private async Task FollowAsync()
    {
        bool asked = false;
        while (!_abandon)
        {
            TimeSpan patience = Timeout.InfiniteTimeSpan;
            try
            {
                if (_detach && !asked)
                {
                    _machine.RequestDetach();
                    asked = true;
                }

                if (!await _machine.StepAsync().ConfigureAwait(false))
                    return;
                _offered.TrySetResult(true);
            }
            catch (HypervisorException e) when (_offered.Task.IsCompleted || _journal is { WasLeft: true })
            {
                // Whoever attaches gets the failure of the first step; there is nobody to give a later one to. A disk that was left behind
                // is not given up: its guest may be using it, and a port of the process that was killed may be closed a moment later.
                _offered.TrySetResult(true);
                _log.StoreFailed(e);
                patience = RetryAfterFailure;
            }

            await _signal.WaitAsync(patience).ConfigureAwait(false);
        }
    }

    // The last writes of a device: no later step makes up for them, so they are tried a few times, and then the operator has to know.
    private async Task<bool> InsistAsync(Action write)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                write();
                return true;
            }
            catch (HypervisorException e)
            {
                if (attempt == LastAttempts)
                {
                    _log.NodesLeft(e);
                    return false;
                }
            }

            await Task.Delay(PauseBetweenLastAttempts).ConfigureAwait(false);
        }
    }
}
