using Xen.Blkif.Engine;

namespace Xen.Blkif.Backend;

/// <summary>A connected frontend: all of its queues, or none.</summary>
internal sealed class DeviceConnection
{
    private readonly RingConnection[] _queues;

    private DeviceConnection(FrontendKeys keys, RingConnection[] queues, GuestMemoryAccess memory)
    {
        Keys = keys;
        _queues = queues;
        Agreed = new BackendConnection(keys.Protocol, keys.Queues[0].Ring.Length, [.. keys.Queues.Select(queue => queue.EventChannel)], memory);
        Statistics = [.. queues.Select(queue => queue.Statistics)];
    }

    /// <summary>Where the frontend said its queues are.</summary>
    public FrontendKeys Keys { get; }

    /// <summary>What was agreed on.</summary>
    public BackendConnection Agreed { get; }

    /// <summary>What each queue did so far.</summary>
    public IReadOnlyList<QueueStatistics> Statistics { get; }

    /// <summary>Connects every queue, then starts them all: no request is served that a failure at a later queue would leave half done.</summary>
    /// <param name="keys">Where the frontend says its queues are.</param>
    /// <param name="open">Connects a queue by its number.</param>
    /// <param name="start">Starts one.</param>
    /// <param name="memory">How all of them reach the guest's memory.</param>
    /// <param name="log">Hears what went wrong.</param>
    /// <exception cref="Hypervisor.HypervisorException">What the guest says of a queue is not valid. Nothing of any queue stays mapped or bound.</exception>
    public static async Task<DeviceConnection> OpenAsync(
        FrontendKeys keys, Func<int, RingConnection> open, Action<int, RingConnection> start, GuestMemoryAccess memory, BackendLog log)
    {
        var queues = new List<RingConnection>(keys.Queues.Count);
        try
        {
            for (int i = 0; i < keys.Queues.Count; i++)
                queues.Add(open(i));
            for (int i = 0; i < queues.Count; i++)
                start(i, queues[i]);
            return new DeviceConnection(keys, [.. queues], memory);
        }
        catch
        {
            await CloseAsync(queues, log).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Rings the guest's bells: whoever had the rings before may have died between showing a response and telling of it.</summary>
    public void NotifyGuest()
    {
        foreach (RingConnection queue in _queues)
            queue.NotifyGuest();
    }

    /// <summary>Checks requests that are taken from now on against another size, in units of 512 bytes.</summary>
    public void Resize(long sectors)
    {
        foreach (RingConnection queue in _queues)
            queue.Resize(sectors);
    }

    /// <summary>Takes no further request, answers those under way, then lets go of everything. Does not throw.</summary>
    /// <param name="log">Hears what went wrong.</param>
    public Task CloseAsync(BackendLog log) => CloseAsync(_queues, log);

    private static async Task CloseAsync(IReadOnlyList<RingConnection> queues, BackendLog log)
    {
        // All are told before the first is waited for.
        await Task.WhenAll(queues.Select(queue => queue.StopAsync()).ToArray()).ConfigureAwait(false);
        foreach (RingConnection queue in queues)
            queue.Release(log);
    }
}
