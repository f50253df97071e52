using System.Collections.Concurrent;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Testing;

namespace Xen.Blkif.IoUring.Tests;

/// <summary>The simulated Xen with event channels that have descriptors, as those of a real one have.</summary>
internal sealed class DescriptorXen(SimulatedXen xen) : IXenHost, IEventChannels
{
    /// <summary>Every channel there was.</summary>
    public ConcurrentBag<DescriptorChannel> Channels { get; } = [];

    public DomainId Domain => xen.Domain;

    public IGrantTable Grants => xen.Grants;

    public IEventChannels Events => this;

    public IXenStore Store => xen.Store;

    public IEventChannel Bind(DomainId domain, uint remotePort)
    {
        var channel = new DescriptorChannel(xen.Events.Bind(domain, remotePort));
        Channels.Add(channel);
        return channel;
    }

    public void Dispose()
    {
        // The simulated one is the test's.
    }
}
