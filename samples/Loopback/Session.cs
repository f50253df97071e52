using Xen.Blkif.Backend;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Samples.Loopback;

/// <summary>A Xen in this process, a backend that serves the disk, and a guest that has connected to it.</summary>
internal sealed class Session : IAsyncDisposable
{
    // Those that a grant table keeps for itself, and one for a page that is granted anew before its old grant is taken back.
    private const int OtherGrants = 8 + 1;

    private static readonly DomainId GuestId = 1;

    private readonly SimulatedXen _xen;
    private readonly BlockBackend _backend;

    private Session(SimulatedXen xen, BlockBackend backend, BlkifFrontend frontend)
    {
        _xen = xen;
        _backend = backend;
        Frontend = frontend;
    }

    public BlkifFrontend Frontend { get; }

    /// <summary>What the backend counted.</summary>
    public QueueStatistics Statistics => _backend.Queues[0];

    public static async Task<Session> OpenAsync(IBlockTarget target, LoopbackOptions options, BlkifProtocol protocol)
    {
        var xen = new SimulatedXen();
        try
        {
            var asked = new FrontendOptions { Protocol = protocol, RingPageOrder = options.RingPageOrder, Depth = options.Depth };
            int pages = FrontendQueue.PagesOf(asked);
            xen.Limits.GrantEntries = Math.Max(xen.Limits.GrantEntries, pages + OtherGrants);
            SimulatedGuest guest = xen.CreateGuest(GuestId, pages);
            BlockBackend backend = await BlockBackend.AttachAsync(xen, GuestId, "xvda", target);
            BlkifFrontend frontend = await BlkifFrontend.ConnectAsync(guest, "xvda", asked);
            return new Session(xen, backend, frontend);
        }
        catch
        {
            xen.Dispose();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Frontend.DisposeAsync();
        await _backend.DisposeAsync();
        _xen.Dispose();
    }
}
