namespace Xen.Blkif.Testing;

/// <summary>The ports of one domain. Guarded by the lock of <see cref="SimulatedEventChannels"/>.</summary>
internal sealed class EventPorts
{
    private readonly Dictionary<uint, SimulatedEventChannel> _channels = [];

    public int Count => _channels.Count;

    public IEnumerable<SimulatedEventChannel> Channels => _channels.Values;

    public SimulatedEventChannel? Find(uint port) => _channels.TryGetValue(port, out var channel) ? channel : null;

    /// <summary>The lowest number that is free, as in Xen; port 0 names no channel.</summary>
    public uint NextFree()
    {
        var port = 1u;
        while (_channels.ContainsKey(port))
            port++;
        return port;
    }

    public void Add(SimulatedEventChannel channel) => _channels.Add(channel.Port, channel);

    public void Remove(SimulatedEventChannel channel) => _ = _channels.Remove(channel.Port);
}
