using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Backend;

/// <summary>A connected ring: its mapped pages, its event channel, its engine and the engine's thread.</summary>
internal sealed class RingConnection
{
    private readonly IGrantMapping _mapping;
    private readonly IEventChannel _channel;
    private readonly RequestEngine _engine;
    private readonly EngineThread _thread;

    private RingConnection(IGrantMapping mapping, IEventChannel channel, RequestEngine engine, EngineThread thread)
    {
        _mapping = mapping;
        _channel = channel;
        _engine = engine;
        _thread = thread;
    }

    /// <summary>What the queue did so far.</summary>
    public QueueStatistics Statistics => _engine.Statistics;

    /// <summary>Maps, binds and starts serving.</summary>
    /// <param name="xen">The hypervisor.</param>
    /// <param name="keys">Where the frontend says its ring is.</param>
    /// <param name="engineOf">Makes the engine for a mapped ring and a bound channel.</param>
    /// <param name="guest">The guest.</param>
    /// <param name="name">The name of the thread.</param>
    /// <param name="failed">Called once, on the engine's thread, when the ring is corrupt or the engine threw.</param>
    /// <exception cref="HypervisorException">The guest's references or port are not valid. Nothing stays mapped or bound.</exception>
    public static RingConnection Open(
        IXenHost xen, DomainId guest, FrontendKeys keys, Func<IGrantMapping, IEventChannel, RequestEngine> engineOf, string name, Action<Exception?> failed)
    {
        IGrantMapping? mapping = null;
        IEventChannel? channel = null;
        try
        {
            mapping = xen.Grants.Map(guest, keys.Ring, writable: true);
            channel = xen.Events.Bind(guest, keys.EventChannel);
            RequestEngine engine = engineOf(mapping, channel);
            return new RingConnection(mapping, channel, engine, new EngineThread(engine, channel, name, failed));
        }
        catch
        {
            channel?.Dispose();
            mapping?.Dispose();
            throw;
        }
    }

    /// <summary>Takes no further request, answers those under way, then lets go of everything.</summary>
    /// <returns>Whether everything was let go of. False where the engine threw with requests under way: their memory must stay.</returns>
    public async Task<bool> CloseAsync()
    {
        await _thread.StopAsync().ConfigureAwait(false);

        // The engine's thread has ended, so that nothing reaches the ring any more. The target's queue goes before the memory it may use.
        bool idle = _engine.InFlight == 0;
        if (idle)
            _engine.Dispose();
        _channel.Dispose();
        _mapping.Dispose();
        return idle;
    }
}
