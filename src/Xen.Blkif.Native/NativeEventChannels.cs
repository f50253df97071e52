using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Native;

/// <summary>Event channels by libxenevtchn.</summary>
internal sealed class NativeEventChannels : IEventChannels
{
    /// <inheritdoc/>
    public IEventChannel Bind(DomainId domain, uint remotePort) => new NativeEventChannel(domain, remotePort);
}
