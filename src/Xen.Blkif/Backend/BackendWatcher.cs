using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Extensions.Logging;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Backend;

/// <summary>Serves every disk that a toolstack offers under one backend type of this domain: what a storage driver domain runs.</summary>
/// <remarks>Thread-safe. Each disk is a <see cref="BlockBackend"/> of its own; one that fails leaves the others alone.</remarks>
public sealed partial class BackendWatcher : IAsyncDisposable
{
    private static readonly TimeSpan RetryAfterFailure = TimeSpan.FromSeconds(1);

    private readonly IXenHost _xen;
    private readonly Func<OfferedDisk, IBlockTarget> _open;
    private readonly BackendOptions _options;
    private readonly ILogger _logger;
    private readonly string _root;
    private readonly StepSignal _signal = new();
    private readonly ConcurrentDictionary<string, BlockBackend> _devices = new(StringComparer.Ordinal);
    private readonly IDisposable _watch;
    private readonly Task _watching;
    private volatile bool _stopping;

    /// <summary>Starts serving.</summary>
    /// <param name="xen">The hypervisor. Outlives the watcher.</param>
    /// <param name="open">
    /// Opens the storage of a disk, which is disposed with the disk. What it throws becomes the reason of failure that the toolstack reads.
    /// </param>
    /// <param name="options">How disks are served; <see langword="null"/> for the defaults.</param>
    /// <exception cref="HypervisorException">Xenstore failed, or has no room for another watch.</exception>
    public BackendWatcher(IXenHost xen, Func<OfferedDisk, IBlockTarget> open, BackendOptions? options = null)
    {
        _xen = xen;
        _open = open;
        _options = options ?? new BackendOptions();
        _logger = _options.LoggerFactory.CreateLogger(typeof(BackendWatcher).FullName!);
        _root = $"/local/domain/{xen.Domain}/backend/{_options.BackendType}";
        _watch = xen.Store.Watch(_root, _ => _signal.Raise());
        _watching = Task.Run(WatchAsync);
    }

    /// <summary>The disks that are served now.</summary>
    public IReadOnlyList<BlockBackend> Devices => [.. _devices.Values];

    /// <summary>Asks for the sizes of all disks to be read again, as <see cref="BlockBackend.RefreshSize"/> does for one.</summary>
    public void RefreshSizes()
    {
        foreach (BlockBackend device in _devices.Values)
            device.RefreshSize();
    }

    /// <summary>Closes every disk and ends. The toolstack's nodes stay.</summary>
    public async ValueTask DisposeAsync()
    {
        _stopping = true;
        _signal.Raise();
        await _watching.ConfigureAwait(false);
        _watch.Dispose();
        foreach (BlockBackend device in _devices.Values)
            await device.DisposeAsync().ConfigureAwait(false);
        while (!_devices.IsEmpty)
            await _signal.WaitAsync(RetryAfterFailure).ConfigureAwait(false);
    }

    private async Task WatchAsync()
    {
        while (!_stopping)
        {
            TimeSpan patience = Timeout.InfiniteTimeSpan;
            try
            {
                if (!await TryScanAsync().ConfigureAwait(false))
                    patience = RetryAfterFailure;
            }
#pragma warning disable CA1031 // whatever a scan meets, disks that are offered later are to be served
            catch (Exception e)
#pragma warning restore CA1031
            {
                LogScanFailed(e, _root);
                patience = RetryAfterFailure;
            }

            await _signal.WaitAsync(patience).ConfigureAwait(false);
        }
    }

    // False where the store failed at a disk, or another process has it, which may be about to die: another scan may go better.
    private async Task<bool> TryScanAsync()
    {
        bool done = true;
        foreach (string guest in _xen.Store.List(_root))
        {
            if (!int.TryParse(guest, NumberStyles.None, CultureInfo.InvariantCulture, out int id) || id >= DomainId.FirstReserved)
                continue;
            foreach (string number in _xen.Store.List($"{_root}/{guest}"))
            {
                string backend = $"{_root}/{guest}/{number}";
                try
                {
                    if (!_devices.ContainsKey(backend) && OfferedDisk.Read(_xen.Store, backend, id, number, device => IsLeft(id, device)) is { } offer)
                        done &= await TryServeAsync(backend, offer).ConfigureAwait(false);
                }
#pragma warning disable CA1031 // one disk that cannot be looked at must not hide those behind it
                catch (Exception e)
#pragma warning restore CA1031
                {
                    LogScanFailed(e, backend);
                    done &= e is not HypervisorException;
                }
            }
        }

        return done;
    }

    // False where another process serves the disk.
    private async Task<bool> TryServeAsync(string backend, OfferedDisk offer)
    {
        IBlockTarget? target = null;
        try
        {
            // First of all: only who has the journal may open the storage, or close the disk.
            if (!BlockBackend.TryOpenJournal(_options, PathsOf(offer.Guest, offer.Device), out JournalFile? journal))
                return false;

            target = Open(offer, journal);
            BackendOptions options = _options with { IsCdrom = offer.IsCdrom, AllowsDiscard = offer.AllowsDiscard };
            BlockBackend device = await BlockBackend.ServeAsync(_xen, offer.Guest, offer.Device, target, options, journal).ConfigureAwait(false);
            _devices[backend] = device;
            _ = ForgetWhenEndedAsync(backend, device, target);
            LogServing(offer.Guest, offer.Device, offer.Params);
        }
#pragma warning disable CA1031 // whatever is wrong with one disk is that disk's alone
        catch (Exception e)
#pragma warning restore CA1031
        {
            if (target is not null)
                await CloseAsync(target, $"{offer.Guest}/{offer.Device}").ConfigureAwait(false);
            LogNotServed(offer.Guest, offer.Device, offer.Params, e.Message);
            Explain(backend, offer, e.Message);
        }

        return true;
    }

    private IBlockTarget Open(OfferedDisk offer, JournalFile? journal)
    {
        try
        {
            return _open(offer);
        }
        catch
        {
            journal?.Close(hasEnded: true);
            throw;
        }
    }

    private async Task ForgetWhenEndedAsync(string backend, BlockBackend device, IBlockTarget target)
    {
        await Task.WhenAny(device.Completion).ConfigureAwait(false);
        await CloseAsync(target, device.Name).ConfigureAwait(false);
        _devices.TryRemove(backend, out _);
        LogEnded(device.Name);

        // The same disk may have been offered again meanwhile.
        _signal.Raise();
    }

    private async Task CloseAsync(IBlockTarget target, string device)
    {
        try
        {
            await target.DisposeAsync().ConfigureAwait(false);
        }
#pragma warning disable CA1031 // a target that cannot even close must not keep its disk from being offered again
        catch (Exception e)
#pragma warning restore CA1031
        {
            LogNotClosed(e, device);
        }
    }

    private bool IsLeft(DomainId guest, VirtualDevice device) => BlockBackend.IsLeft(_options, PathsOf(guest, device));

    private DevicePaths PathsOf(DomainId guest, VirtualDevice device) => new(_xen.Domain, _options.BackendType, guest, device);

    // Where toolstacks and people look: hotplug-error for the scripts, error/ for the rest.
    private void Explain(string backend, OfferedDisk offer, string reason) => _xen.Store.Transact(store =>
    {
        if (store.Read($"{backend}/frontend") is null)
            return;
        store.Write($"{backend}/hotplug-error", reason);
        store.Write($"{backend}/hotplug-status", "error");
        store.Write(PathsOf(offer.Guest, offer.Device).Error, reason);
        store.Write($"{backend}/state", XenbusState.Closed.ToText());
    });

    [LoggerMessage(40, LogLevel.Information, "{Guest}/{Device}: serving {Params}")]
    private partial void LogServing(DomainId guest, VirtualDevice device, string @params);

    [LoggerMessage(41, LogLevel.Error, "{Guest}/{Device}: {Params} cannot be served: {Reason}")]
    private partial void LogNotServed(DomainId guest, VirtualDevice device, string @params, string reason);

    [LoggerMessage(42, LogLevel.Information, "{Device}: ended")]
    private partial void LogEnded(string device);

    [LoggerMessage(44, LogLevel.Error, "{Device}: the target threw when it was closed")]
    private partial void LogNotClosed(Exception exception, string device);

    [LoggerMessage(43, LogLevel.Warning, "{Path} cannot be looked through")]
    private partial void LogScanFailed(Exception exception, string path);
}
