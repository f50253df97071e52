using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.PerfTests.Scale;

/// <summary>Many guests with a disk each, on a simulated Xen, in this process.</summary>
internal sealed class Fleet : IAsyncDisposable
{
    private const long DiskLength = 1L << 30;
    private const int ReservedGrants = 8;

    private readonly SimulatedXen _xen = new();
    private readonly NullTarget _disk = new(DiskLength);
    private readonly List<BlockBackend> _backends = [];
    private readonly List<BlkifFrontend> _frontends = [];

    /// <summary>Every queue of every device.</summary>
    public IReadOnlyList<FrontendQueue> Queues { get; private set; } = [];

    /// <summary>Connects devices.</summary>
    public static async Task<Fleet> OpenAsync(ScaleWorkload workload)
    {
        var options = new FrontendOptions
        {
            Queues = workload.Queues,
            RingPageOrder = workload.RingOrder,
            Depth = workload.Depth,
            MaxIndirectSegments = Math.Max(workload.Block / XenPage.Size, BlkifLimits.MaxSegments),
        };
        var fleet = new Fleet();
        try
        {
            for (int device = 1; device <= workload.Devices; device++)
                await fleet.AddAsync(device, options);
        }
        catch
        {
            await fleet.DisposeAsync();
            throw;
        }

        fleet.Queues = [.. fleet._frontends.SelectMany(frontend => frontend.Queues)];
        return fleet;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (BlkifFrontend frontend in _frontends)
            await frontend.DisposeAsync();
        foreach (BlockBackend backend in _backends)
            await backend.DisposeAsync();
        await _disk.DisposeAsync();
        _xen.Dispose();
    }

    private async Task AddAsync(DomainId id, FrontendOptions options)
    {
        int pages = FrontendQueue.PagesOf(options) * options.Queues;
        _xen.Limits.GrantEntries = Math.Max(_xen.Limits.GrantEntries, pages + ReservedGrants);
        SimulatedGuest guest = _xen.CreateGuest(id, pages);
        _backends.Add(await BlockBackend.AttachAsync(_xen, id, "xvda", _disk, new BackendOptions { MaxQueues = options.Queues }));
        _frontends.Add(await BlkifFrontend.ConnectAsync(guest, "xvda", options));
    }
}
