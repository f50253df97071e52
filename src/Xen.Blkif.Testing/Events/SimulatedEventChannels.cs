using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>The event channels of a <see cref="SimulatedXen"/>, as domain 0 binds to them.</summary>
/// <remarks>Thread-safe.</remarks>
public sealed class SimulatedEventChannels : IEventChannels
{
    private readonly DomainId _self;
    private readonly SimulatedXenLimits _limits;
    private readonly Dictionary<DomainId, EventPorts> _domains = [];

    internal SimulatedEventChannels(DomainId self, SimulatedXenLimits limits)
    {
        _self = self;
        _limits = limits;
        _domains.Add(self, new EventPorts());
    }

    /// <summary>Channels that are bound and not disposed, those whose guest is gone included.</summary>
    public int Bound
    {
        get
        {
            lock (_domains)
                return _domains[_self].Count;
        }
    }

    /// <summary>Asked for each domain and remote port that is to be bound to: true fails the binding.</summary>
    public Func<DomainId, uint, bool>? BindFault { get; set; }

    /// <inheritdoc cref="IEventChannels.Bind"/>
    /// <remarks>
    /// As in Xen the new channel has an event pending, in place of those that were sent before there was anyone to get them.
    /// </remarks>
    public SimulatedEventChannel Bind(DomainId domain, uint remotePort)
    {
        if (BindFault?.Invoke(domain, remotePort) == true)
            throw Refusal(domain, remotePort, "the fault hook refused it");
        lock (_domains)
        {
            if (!_domains.TryGetValue(domain, out var ports) || domain == _self)
                throw Refusal(domain, remotePort, "there is no such guest");
            var remote = ports.Find(remotePort) ?? throw Refusal(domain, remotePort, "the port is not allocated");
            if (remote.Remote != _self)
                throw Refusal(domain, remotePort, $"it is for domain {remote.Remote}");
            if (remote.IsBound)
                throw Refusal(domain, remotePort, "it is bound already");
            var channel = Open(_self, domain);
            channel.Connect(remote);
            return channel;
        }
    }

    IEventChannel IEventChannels.Bind(DomainId domain, uint remotePort) => Bind(domain, remotePort);

    internal SimulatedEventChannel Allocate(DomainId owner, DomainId remote)
    {
        lock (_domains)
            return Open(owner, remote);
    }

    internal void Add(DomainId domain)
    {
        lock (_domains)
            _domains.Add(domain, new EventPorts());
    }

    internal void Remove(DomainId domain)
    {
        lock (_domains)
        {
            foreach (var channel in _domains[domain].Channels)
                channel.Disconnect();
            _ = _domains.Remove(domain);
        }
    }

    internal void Close(SimulatedEventChannel channel)
    {
        lock (_domains)
        {
            channel.Disconnect();
            // The ports of a domain that is gone went with it, and its number may belong to another one by now.
            if (_domains.TryGetValue(channel.Owner, out var ports) && ports.Find(channel.Port) == channel)
                ports.Remove(channel);
        }
    }

    private SimulatedEventChannel Open(DomainId owner, DomainId remote)
    {
        if (!_domains.TryGetValue(owner, out var ports))
            throw new HypervisorException($"No event channel can be allocated: domain {owner} is gone.");
        var channel = new SimulatedEventChannel(this, _limits, owner, remote, ports.NextFree());
        ports.Add(channel);
        return channel;
    }

    private static HypervisorException Refusal(DomainId domain, uint port, string reason) =>
        new($"Port {port} of domain {domain} cannot be bound to: {reason}.");
}
