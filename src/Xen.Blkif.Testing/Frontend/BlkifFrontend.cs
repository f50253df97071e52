using System.Globalization;
using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Testing;

/// <summary>A guest's block driver: finds its disk in xenstore, connects, does I/O, closes, and may connect again.</summary>
/// <remarks>Used by one thread at a time; but each queue, with its disk, may have a thread of its own.</remarks>
public sealed class BlkifFrontend : IAsyncDisposable
{
    private readonly SimulatedGuest _guest;
    private readonly FrontendOptions _options;
    private readonly string _frontend;
    private readonly string _backend;
    private bool _connected;

    private BlkifFrontend(SimulatedGuest guest, VirtualDevice device, FrontendOptions options)
    {
        _guest = guest;
        _options = options;
        _frontend = $"/local/domain/{guest.Id}/device/vbd/{device.Number}";
        _backend = guest.Store.Read($"{_frontend}/backend")
            ?? throw new HypervisorException($"Domain {guest.Id} has no disk {device}.");
    }

    /// <summary>The ring of the first queue, for requests of any kind.</summary>
    public FrontendQueue Queue => Queues[0];

    /// <summary>The disk through the first queue, for whole reads and writes of any length.</summary>
    public FrontendDisk Disk => Disks[0];

    /// <summary>The rings of all queues.</summary>
    public IReadOnlyList<FrontendQueue> Queues { get; private set; } = [];

    /// <summary>The disk through each of the queues.</summary>
    public IReadOnlyList<FrontendDisk> Disks { get; private set; } = [];

    /// <summary>The disk's size in bytes, as the backend says.</summary>
    public long Length { get; private set; }

    /// <summary>The disk's logical sector size in bytes, as the backend says.</summary>
    public int SectorSize { get; private set; }

    /// <summary>Whether the backend says that the disk is read-only.</summary>
    public bool IsReadOnly { get; private set; }

    /// <summary>Whether the backend offers discards.</summary>
    public bool HasDiscard { get; private set; }

    /// <summary>Whether the backend offers flushes.</summary>
    public bool HasFlush { get; private set; }

    /// <summary>Whether it and the backend have agreed on persistent grants.</summary>
    public bool IsPersistent { get; private set; }

    internal TimeSpan Timeout => _options.Timeout;

    /// <summary>The backend's half in xenstore.</summary>
    public string BackendPath => _backend;

    /// <summary>This half in xenstore.</summary>
    public string FrontendPath => _frontend;

    /// <summary>The state that the backend announces now; unknown where its nodes are gone.</summary>
    public XenbusState BackendState => Testing.BackendState.Read(_guest.Store, $"{_backend}/state");

    /// <summary>Connects to a disk of the guest.</summary>
    /// <param name="guest">The guest.</param>
    /// <param name="vdev">The disk's name, as in <see cref="VirtualDevice.Parse"/>.</param>
    /// <param name="options">How; <see langword="null"/> for the defaults.</param>
    /// <exception cref="HypervisorException">The guest has no such disk, or too little memory or grants.</exception>
    /// <exception cref="TimeoutException">The backend did not follow.</exception>
    /// <exception cref="InvalidOperationException">The backend closed instead of connecting; the message has its state.</exception>
    public static async Task<BlkifFrontend> ConnectAsync(SimulatedGuest guest, string vdev, FrontendOptions? options = null)
    {
        var frontend = new BlkifFrontend(guest, VirtualDevice.Parse(vdev), options ?? new FrontendOptions());
        try
        {
            await frontend.ConnectAsync().ConfigureAwait(false);
            return frontend;
        }
        catch
        {
            await frontend.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Writes this half's state, as a guest's kernel does: not where a toolstack has removed it, which would bring it back.</summary>
    /// <param name="state">The state.</param>
    public void Announce(XenbusState state)
    {
        bool done = false;
        while (!done)
        {
            using IXenStoreTransaction transaction = _guest.Store.BeginTransaction();
            if (transaction.Read($"{_frontend}/state") is null)
                return;
            transaction.Write($"{_frontend}/state", Number((int)state));
            done = transaction.TryCommit();
        }
    }

    /// <summary>Waits for a state of the backend.</summary>
    /// <param name="states">States that will do.</param>
    /// <exception cref="TimeoutException">None came.</exception>
    public Task<XenbusState> WaitForBackendAsync(params XenbusState[] states) =>
        Testing.BackendState.WaitAsync(_guest.Store, $"{_backend}/state", state => states.Contains(state), _options.Timeout);

    /// <summary>Closes as the options' style does, and waits until the backend has let go. Afterwards the guest may connect anew.</summary>
    /// <exception cref="TimeoutException">The backend did not follow.</exception>
    public async Task CloseAsync()
    {
        if (!_connected)
            return;

        _connected = false;
        if (_options.Style != FrontendStyle.Grub)
        {
            Announce(XenbusState.Closing);
            await WaitForBackendAsync(XenbusState.Closing, XenbusState.Closed, XenbusState.Unknown).ConfigureAwait(false);
        }

        Announce(XenbusState.Closed);
        await WaitForBackendAsync(XenbusState.Closed, XenbusState.Unknown).ConfigureAwait(false);
        if (_options.Style == FrontendStyle.Grub)
        {
            _guest.Store.Write($"{_frontend}/ring-ref", "");
            _guest.Store.Write($"{_frontend}/event-channel", "");
        }
    }

    /// <summary>Closes, takes the grants back, and leaves the device ready for the next driver. Of a guest that is gone nothing is left to do.</summary>
    /// <exception cref="TimeoutException">The backend did not follow.</exception>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await CloseAsync().ConfigureAwait(false);
            Announce(XenbusState.Initialising);

            // The next driver may take a Closed that it finds for an answer to its own state, so mini-os does not leave one behind.
            await Testing.BackendState.WaitAsync(
                _guest.Store, $"{_backend}/state", state => state != XenbusState.Closed || !IsOnline(), _options.Timeout).ConfigureAwait(false);
        }
        catch (HypervisorException) when (IsGuestGone())
        {
            // Its grants went with it, and a backend may still be letting go of its pages.
            foreach (FrontendQueue queue in Queues)
                queue.Channel.Dispose();
            return;
        }

        foreach (FrontendQueue queue in Queues)
            queue.Dispose();
    }

    private bool IsOnline() => Testing.BackendState.ReadText(_guest.Store, $"{_backend}/online") is not (null or "0");

    // Its connection to the store is closed then; nothing else keeps a guest from reading a node of its own.
    private bool IsGuestGone() => Testing.BackendState.ReadText(_guest.Store, $"/local/domain/{_guest.Id}") is null;

    private async Task ConnectAsync()
    {
        if (_options.Style == FrontendStyle.Linux)
            await WaitForBackendAsync(XenbusState.InitWait).ConfigureAwait(false);

        MakeQueues();
        Offer();
        _connected = true;
        Announce(_options.Style == FrontendStyle.MiniOs ? XenbusState.Connected : XenbusState.Initialised);
        XenbusState answer = await WaitForBackendAsync(XenbusState.Connected, XenbusState.Closing, XenbusState.Closed).ConfigureAwait(false);
        if (answer != XenbusState.Connected)
            throw new InvalidOperationException($"The backend did not connect: it went to {answer}.");

        ReadFeatures();
        if (_options.Style == FrontendStyle.Linux)
            Announce(XenbusState.Connected);
    }

    private void MakeQueues()
    {
        DomainId backendDomain = int.Parse(_guest.Store.Read($"{_frontend}/backend-id")!, NumberStyles.None, CultureInfo.InvariantCulture);

        // Only who waits for the offer knows it.
        int offered = _options.Style == FrontendStyle.Linux ? (int)ReadBackend("feature-max-indirect-segments") : 0;
        FrontendOptions options = _options with { MaxIndirectSegments = Math.Min(offered, _options.MaxIndirectSegments) };
        Queues = [.. Enumerable.Range(0, options.Queues).Select(_ => FrontendQueue.Create(_guest, backendDomain, options))];
        Disks = [.. Queues.Select(queue => new FrontendDisk(this, queue))];
    }

    private void Offer()
    {
        SimulatedXenStore store = _guest.Store;
        if (_options.RingPageOrder > 0)
            store.Write($"{_frontend}/ring-page-order", Number(_options.RingPageOrder));
        else
            store.Remove($"{_frontend}/ring-page-order");

        // As Linux does it: the only queue has no folder.
        if (Queues.Count > 1)
            store.Write($"{_frontend}/multi-queue-num-queues", Number(Queues.Count));
        else
            store.Remove($"{_frontend}/multi-queue-num-queues");
        for (int i = 0; i < Queues.Count; i++)
            Offer(Queues[i], Queues.Count > 1 ? $"{_frontend}/queue-{Number(i)}" : _frontend);

        store.Write($"{_frontend}/feature-persistent", _options.UsesPersistentGrants ? "1" : "0");
        if (_options.WritesProtocol)
            store.Write($"{_frontend}/protocol", BlkifProtocols.NameOf(_options.Protocol));
        else
            store.Remove($"{_frontend}/protocol");
    }

    private void Offer(FrontendQueue queue, string folder)
    {
        if (_options.RingPageOrder == 0)
            _guest.Store.Write($"{folder}/ring-ref", queue.RingReferences[0].ToString());
        for (int i = 0; _options.RingPageOrder > 0 && i < queue.RingReferences.Count; i++)
            _guest.Store.Write($"{folder}/ring-ref{Number(i)}", queue.RingReferences[i].ToString());
        _guest.Store.Write($"{folder}/event-channel", Number(queue.Channel.Port));
    }

    private void ReadFeatures()
    {
        const int ReadOnlyInfo = 4; // VDISK_READONLY
        Length = ReadBackend("sectors") * BlkifLimits.SectorSize;
        SectorSize = (int)ReadBackend("sector-size");
        IsReadOnly = (ReadBackend("info") & ReadOnlyInfo) != 0;
        HasFlush = ReadBackend("feature-flush-cache") == 1;
        HasDiscard = ReadBackend("feature-discard") == 1;
        IsPersistent = _options.UsesPersistentGrants && ReadBackend("feature-persistent") == 1;
    }

    private long ReadBackend(string key) =>
        long.Parse(_guest.Store.Read($"{_backend}/{key}") ?? "0", NumberStyles.None, CultureInfo.InvariantCulture);

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
