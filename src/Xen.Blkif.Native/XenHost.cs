using System.Globalization;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Native;

/// <summary>The Xen that this process runs on, in domain 0 or in a driver domain.</summary>
/// <remarks>Thread-safe. Disposed after the devices that it serves.</remarks>
public sealed class XenHost : IXenHost
{
    private readonly NativeXenStore _store;
    private readonly NativeGrantTable _grants;

    private XenHost(NativeXenStore store, NativeGrantTable grants, DomainId domain)
    {
        _store = store;
        _grants = grants;
        Domain = domain;
        Events = new NativeEventChannels();
    }

    /// <inheritdoc/>
    public DomainId Domain { get; }

    /// <inheritdoc/>
    public IGrantTable Grants => _grants;

    /// <inheritdoc/>
    public IEventChannels Events { get; }

    /// <inheritdoc/>
    public IXenStore Store => _store;

    /// <summary>Opens the grant table, event channels and xenstore of this host.</summary>
    /// <param name="maxGrants">
    /// Pages of guests that may be mapped at once: every connected disk maps its ring, 1 to 16 pages. Null leaves it to the kernel. A kernel
    /// without such a limit ignores it; one that allows no more than it says itself refuses what is larger.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxGrants"/> is not positive.</exception>
    /// <exception cref="HypervisorException">This is no Xen host, or this user may not use it.</exception>
    /// <exception cref="DllNotFoundException">A library of Xen's tools is not installed; the message names it.</exception>
    public static XenHost Open(int? maxGrants = null)
    {
        if (maxGrants is <= 0)
            throw new ArgumentOutOfRangeException(nameof(maxGrants), maxGrants, "A limit of mapped grants is a positive number.");

        NativeXenStore store = NativeXenStore.Open();
        try
        {
            string? domain = store.Read("domid");
            if (!ushort.TryParse(domain, NumberStyles.None, CultureInfo.InvariantCulture, out ushort id))
                throw new HypervisorException($"xenstore does not say which domain this is: its domid is '{domain}'.");
            return new XenHost(store, new NativeGrantTable(maxGrants), id);
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _grants.Dispose();
        _store.Dispose();
    }
}
