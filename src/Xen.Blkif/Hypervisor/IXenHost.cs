namespace Xen.Blkif.Hypervisor;

/// <summary>The hypervisor as one domain sees it: all that a backend needs of Xen.</summary>
/// <remarks>Thread-safe. One host serves every device of a process.</remarks>
public interface IXenHost : IDisposable
{
    /// <summary>The domain this process runs in, which is the backend domain of the devices it serves.</summary>
    DomainId Domain { get; }

    /// <summary>Pages that other domains have granted to this one.</summary>
    IGrantTable Grants { get; }

    /// <summary>Event channels that other domains offer.</summary>
    IEventChannels Events { get; }

    /// <summary>The store.</summary>
    IXenStore Store { get; }
}
