using Xen.Blkif.Backend;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.PerfTests.Scale;

/// <summary>Many guests with a disk each, on a simulated Xen, in this process.</summary>
internal sealed class Fleet : IAsyncDisposable
{
    public const long DiskLength = 1L << 30;

    private const string DiskName = "xvda";
    private const int ReservedGrants = 8;

    private readonly SimulatedXen _xen = new();
    private readonly IBlockTarget _disk;
    private readonly List<BlockBackend> _backends = [];
    private readonly List<BlkifFrontend> _frontends = [];

    private Fleet(IBlockTarget disk) => _disk = disk;

    /// <summary>Every queue of every device.</summary>
    public IReadOnlyList<FrontendQueue> Queues { get; private set; } = [];

    /// <summary>Connects devices.</summary>
    /// <param name="workload">What they are like.</param>
    /// <param name="disk">What they all are served from, disposed with the fleet.</param>
    public static async Task<Fleet> OpenAsync(ScaleWorkload workload, IBlockTarget disk)
    {
        var options = new FrontendOptions
        {
            Queues = workload.Queues,
            RingPageOrder = workload.RingOrder,
            Depth = workload.Depth,
            MaxIndirectSegments = Math.Max(workload.Block / XenPage.Size, BlkifLimits.MaxSegments),
            UsesPersistentGrants = !workload.Copies,
        };
        var fleet = new Fleet(disk);
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

    /// <summary>Disposes the backends. Guests, their frontends and all nodes in xenstore stay.</summary>
    public async Task RemoveBackendsAsync()
    {
        foreach (BlockBackend backend in _backends)
            await backend.DisposeAsync();
        _backends.Clear();
    }

    public async ValueTask DisposeAsync()
    {
        // Frontends need not close: their guests go.
        await RemoveBackendsAsync();
        await _disk.DisposeAsync();
        _xen.Dispose();
    }

    private async Task AddAsync(DomainId id, FrontendOptions frontend)
    {
        int pages = FrontendQueue.PagesOf(frontend) * frontend.Queues;
        _xen.Limits.GrantEntries = Math.Max(_xen.Limits.GrantEntries, pages + ReservedGrants);
        SimulatedGuest guest = _xen.CreateGuest(id, pages);

        // As a toolstack does: nodes of an attached disk would go with its backend.
        var options = new BackendOptions { MaxQueues = frontend.Queues, GuestMemory = GuestMemoryAccess.Persistent }; // with guests that have none, copied
        VirtualDevice device = VirtualDevice.Parse(DiskName);
        DeviceNodes.Create(_xen, new DevicePaths(_xen.Domain, options.BackendType, id, device), id, device, _disk.Info, options);
        _backends.Add(await BlockBackend.ServeAsync(_xen, id, DiskName, _disk, options));
        _frontends.Add(await BlkifFrontend.ConnectAsync(guest, DiskName, frontend));
    }
}
