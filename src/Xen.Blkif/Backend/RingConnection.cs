using System.Collections.Concurrent;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Backend;

/// <summary>The connected ring of one queue: its mapped pages, its event channel, its engine and the engine's thread.</summary>
internal sealed class RingConnection
{
    private readonly IGrantMapping _mapping;
    private readonly IEventChannel _channel;
    private readonly RequestEngine _engine;
    private EngineThread? _thread;

    private RingConnection(IGrantMapping mapping, IEventChannel channel, RequestEngine engine)
    {
        _mapping = mapping;
        _channel = channel;
        _engine = engine;
    }

    /// <summary>Engines that threw with requests under way. A target may write to their buffers at any time yet, so nothing here may free them.</summary>
    internal static ConcurrentBag<RequestEngine> Kept { get; } = [];

    /// <summary>What the queue did so far.</summary>
    public QueueStatistics Statistics => _engine.Statistics;

    /// <summary>Rings the guest's bell: whoever had the ring before may have died between showing a response and telling of it.</summary>
    public void NotifyGuest() => _channel.Notify();

    /// <summary>Checks requests that are taken from now on against another size, in units of 512 bytes.</summary>
    public void Resize(long sectors) => _engine.Limits = _engine.Limits.Resized((ulong)sectors);

    /// <summary>Binds and maps. Nothing is served yet.</summary>
    /// <param name="xen">The hypervisor.</param>
    /// <param name="guest">The guest.</param>
    /// <param name="keys">Where the frontend says its ring is.</param>
    /// <param name="engineOf">Makes the engine for a mapped ring and a bound channel.</param>
    /// <exception cref="HypervisorException">The guest's references or port are not valid. Nothing stays mapped or bound.</exception>
    public static RingConnection Open(IXenHost xen, DomainId guest, QueueKeys keys, Func<IGrantMapping, IEventChannel, RequestEngine> engineOf)
    {
        IGrantMapping? mapping = null;
        IEventChannel? channel = null;
        try
        {
            channel = xen.Events.Bind(guest, keys.EventChannel);
            mapping = xen.Grants.MapRing(guest, keys.Ring, channel);
            return new RingConnection(mapping, channel, engineOf(mapping, channel));
        }
        catch
        {
            mapping?.Dispose();
            channel?.Dispose();
            throw;
        }
    }

    /// <summary>Starts serving.</summary>
    /// <param name="name">The name of the thread.</param>
    /// <param name="failed">Called once, on the engine's thread, when the ring is corrupt or the engine threw.</param>
    public void Start(string name, Action<Exception?> failed) => _thread = new EngineThread(_engine, _channel, name, failed);

    /// <summary>Takes no further request and answers those under way.</summary>
    /// <returns>Completes when the thread has ended.</returns>
    public Task StopAsync() => _thread?.StopAsync() ?? Task.CompletedTask;

    /// <summary>Lets go of everything, once it has stopped. Does not throw.</summary>
    /// <param name="log">Hears what went wrong.</param>
    public void Release(BackendLog log)
    {
        // The engine's thread has ended, so that nothing reaches the ring any more. The target's queue goes before the memory it may use.
        if (_thread is null || _engine.InFlight == 0)
        {
            DisposeEngine(log);
        }
        else
        {
            Kept.Add(_engine);
            log.MemoryKept();
        }

        try
        {
            _mapping.Dispose();
        }
        finally
        {
            _channel.Dispose();
        }
    }

    private void DisposeEngine(BackendLog log)
    {
        try
        {
            _engine.Dispose();
        }
#pragma warning disable CA1031 // a target that cannot even close must not keep the guest's pages mapped
        catch (Exception e)
#pragma warning restore CA1031
        {
            log.TargetNotClosed(e);
        }
    }
}
