using System.Runtime.ExceptionServices;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>
/// A Xen that lives in the process, as domain 0 sees it: the host to give to a backend that is to run without a hypervisor.
/// </summary>
/// <remarks>
/// Thread-safe. Guests are made with <see cref="CreateGuest"/>. Dispose it after the backends that use it: the memory of its guests goes
/// with it.
/// </remarks>
public sealed class SimulatedXen : IXenHost
{
    private readonly Func<int, GuestMemory> _createMemory;
    private readonly StoreServer _server;
    private readonly Dictionary<DomainId, SimulatedGuest> _guests = [];

    // Memory of all guests there ever were. It is unmapped at the very end only, so that a frontend thread or a grant copy
    // that is still at work when its guest dies touches memory and not a hole in the address space.
    private readonly List<GuestMemory> _memories = [];
    private bool _disposed;

    /// <summary>Starts a Xen with domain 0 and no guest.</summary>
    public SimulatedXen() : this(GuestMemory.Create)
    {
    }

    internal SimulatedXen(Func<int, GuestMemory> createMemory)
    {
        _createMemory = createMemory;
        _server = new StoreServer(Limits);
        Grants = new SimulatedGrantTable(Domain, Limits);
        Events = new SimulatedEventChannels(Domain, Limits);
        Store = new SimulatedXenStore(_server, Domain);
    }

    /// <summary>The domain of the backend: 0.</summary>
    public DomainId Domain { get; } = 0;

    /// <summary>How much the guests and the backend may have of everything.</summary>
    public SimulatedXenLimits Limits { get; } = new();

    /// <summary>Pages that guests have granted to domain 0.</summary>
    public SimulatedGrantTable Grants { get; }

    /// <summary>Event channels that guests offer to domain 0.</summary>
    public SimulatedEventChannels Events { get; }

    /// <summary>The connection of domain 0 to the store. It may do everything.</summary>
    public SimulatedXenStore Store { get; }

    IGrantTable IXenHost.Grants => Grants;

    IEventChannels IXenHost.Events => Events;

    IXenStore IXenHost.Store => Store;

    /// <summary>Creates a guest and its node <c>/local/domain/ID</c>, which it owns.</summary>
    /// <param name="id">1 to 0x7FEF.</param>
    /// <param name="memoryPages">Its memory in pages of 4096 bytes, at least 1.</param>
    /// <exception cref="HypervisorException">There is a domain with this number, or no memory.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of pages is not positive.</exception>
    /// <exception cref="ObjectDisposedException">This Xen is disposed.</exception>
    public SimulatedGuest CreateGuest(DomainId id, int memoryPages = 4096)
    {
        if (memoryPages < 1)
            throw new ArgumentOutOfRangeException(nameof(memoryPages), memoryPages, "A guest has at least one page of memory.");
        lock (_guests)
        {
            if (_disposed)
                throw new ObjectDisposedException(nameof(SimulatedXen), "This Xen is disposed.");
            if (id == Domain || _guests.ContainsKey(id))
                throw new HypervisorException($"Domain {id} exists already.");

            var memory = _createMemory(memoryPages);
            _memories.Add(memory);
            var grants = new GuestGrants(id, memory, Limits.GrantEntries);
            var guest = new SimulatedGuest(this, id, memory, grants, Store.ConnectAs(id));
            _guests.Add(id, guest);
            Grants.Add(grants);
            Events.Add(id);
            var home = StorePath.Home(id);
            _server.Change(StoreChange.Write(Domain, home, ""));
            _server.Change(StoreChange.SetPermissions(Domain, home, new StorePermissions(id, XenStorePermission.None, [])));
            return guest;
        }
    }

    /// <summary>
    /// Ends a guest as when its domain dies: <c>/local/domain/ID</c>, its watches and its event channels go, and nothing of it can be
    /// mapped or copied any more. What is mapped stays so until it is unmapped.
    /// </summary>
    /// <param name="id">The guest.</param>
    /// <remarks>
    /// <see cref="SimulatedGuest.AddressOf"/> stays valid until this Xen is disposed, but what is in the memory is lost when its last page
    /// is unmapped.
    /// </remarks>
    /// <exception cref="HypervisorException">There is no such guest.</exception>
    public void DestroyGuest(DomainId id)
    {
        SimulatedGuest? guest;
        lock (_guests)
        {
            if (!_guests.TryGetValue(id, out guest))
                throw new HypervisorException($"There is no domain {id} to destroy.");
        }

        Destroy(guest);
    }

    /// <summary>Destroys this very guest; does nothing when it is gone, even if another one has its number by now.</summary>
    internal void Destroy(SimulatedGuest guest)
    {
        lock (_guests)
        {
            if (!_guests.TryGetValue(guest.Id, out var present) || present != guest)
                return;
            _guests.Remove(guest.Id);
            Grants.Remove(guest.Id);
            Events.Remove(guest.Id);
            _server.Change(StoreChange.Remove(Domain, StorePath.Home(guest.Id)));
        }

        // Outside the lock: this waits for a callback of the guest's that is running, and that may be about to create or destroy a guest.
        guest.Store.Close();
    }

    /// <summary>
    /// Ends all guests, waits for a watch callback that is running, calls no further one, and gives the memory of the guests back.
    /// Mappings that are still open are not touched.
    /// </summary>
    /// <remarks>If a watch callback has thrown, its exception is thrown here, after everything is released.</remarks>
    public void Dispose()
    {
        SimulatedGuest[] guests;
        lock (_guests)
        {
            if (_disposed)
                return;
            _disposed = true;
            guests = [.. _guests.Values];
        }

        foreach (var guest in guests)
            Destroy(guest);
        _server.Dispose();
        foreach (var memory in _memories)
            memory.Dispose();
        if (_server.WatchFailure is { } failure)
            ExceptionDispatchInfo.Capture(failure).Throw();
    }
}
