using System.Collections.Concurrent;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Fuzz;

/// <summary>
/// A Xen as a process sees it that can be killed: from then on nothing that the process does reaches the guest or the store. Its threads end
/// with an exception at their next call. Disposing what it served, and then this, gives back what it had mapped, bound and locked, as a kernel does.
/// </summary>
/// <remarks>Its death notifies nobody, which is worse than with Xen's library.</remarks>
internal sealed class MortalHost(IXenHost xen) : IXenHost, IGrantTable, IEventChannels, IXenStore
{
    private readonly TaskCompletionSource<bool> _died = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentDictionary<nint, int> _mapped = new();
    private readonly ConcurrentBag<Channel> _channels = [];
    private int _callsLeft = int.MaxValue;
    private int _ended;
    private volatile bool _buried;

    /// <summary>
    /// Called when it dies, before any of its threads does something else: a process that is killed dies at once, here its threads live on until
    /// their next call.
    /// </summary>
    public Action? OnDeath { get; init; }

    /// <summary>Completes when the process is dead.</summary>
    public Task Died => _died.Task;

    public DomainId Domain => xen.Domain;

    public IGrantTable Grants => this;

    public IEventChannels Events => this;

    public IXenStore Store => this;

    /// <summary>Kills it when it next maps pages for a request, copies or notifies: at one of these calls, of which the first is 1.</summary>
    public void DieAt(int call) => Volatile.Write(ref _callsLeft, call);

    /// <summary>Kills it now.</summary>
    public void Die()
    {
        DieAt(0);
        End();
    }

    /// <summary>Takes back what <see cref="DieAt"/> said.</summary>
    /// <returns>False where it was too late.</returns>
    public bool TrySpare()
    {
        if (Interlocked.Exchange(ref _callsLeft, int.MaxValue) > 0 && !Died.IsCompleted)
            return true;
        Die();
        return false;
    }

    /// <summary>Lets what is left of it come to its end quickly: to the dead, the store is empty, and takes whatever is written.</summary>
    public void Bury()
    {
        _buried = true;

        // Also those that wait for a result, which nobody brings any more.
        foreach (Channel channel in _channels)
            channel.Wake();
    }

    public IGrantMapping Map(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable) => xen.Grants.Map(domain, references, writable);

    public IGrantMapping MapRing(DomainId domain, ReadOnlySpan<GrantReference> references, IEventChannel channel) =>
        xen.Grants.Map(domain, references, writable: true);

    public nint TryMap(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable)
    {
        Live();
        nint address = xen.Grants.TryMap(domain, references, writable);
        if (address != 0)
            _mapped[address] = references.Length;
        return address;
    }

    public bool TryUnmap(nint address, int pages) => _mapped.TryRemove(address, out _) && xen.Grants.TryUnmap(address, pages);

    public bool Copy(Span<GrantCopySegment> segments)
    {
        Live();
        return xen.Grants.Copy(segments);
    }

    public IEventChannel Bind(DomainId domain, uint remotePort)
    {
        var channel = new Channel(this, xen.Events.Bind(domain, remotePort));
        _channels.Add(channel);
        return channel;
    }

    public string? Read(string path) => Reach().Read(path);

    public void Write(string path, string value) => Reach().Write(path, value);

    public void Remove(string path) => Reach().Remove(path);

    public IReadOnlyList<string> List(string path) => Reach().List(path);

    public void SetPermissions(string path, DomainId owner, XenStorePermission others, params XenStoreEntry[] entries) =>
        Reach().SetPermissions(path, owner, others, entries);

    public IXenStoreTransaction BeginTransaction() => Reach().BeginTransaction();

    public IDisposable Watch(string path, Action<string> changed) => xen.Store.Watch(path, changed);

    public void Dispose()
    {
        // The hypervisor goes on. An engine that died with requests under way keeps its pages.
        foreach (nint address in _mapped.Keys)
        {
            if (_mapped.TryRemove(address, out int pages))
                xen.Grants.TryUnmap(address, pages);
        }
    }

    private void Live()
    {
        if (Interlocked.Decrement(ref _callsLeft) > 0)
            return;
        End();
        throw new KilledException();
    }

    private void End()
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
            OnDeath?.Invoke();
        _died.TrySetResult(true);
    }

    private IXenStore Reach() =>
        !Died.IsCompleted ? xen.Store : _buried ? EmptyStore.Instance : throw new HypervisorException("The process was killed.");

    private sealed class Channel(MortalHost host, IEventChannel channel) : IEventChannel
    {
        // The process's other queues die with the one that was at work.
        public bool Wait(int millisecondsTimeout) => OfTheLiving(channel.Wait(millisecondsTimeout));

        public bool WaitForWake(int millisecondsTimeout) => OfTheLiving(channel.WaitForWake(millisecondsTimeout));

        public void Notify()
        {
            host.Live();
            channel.Notify();
        }

        public void Wake() => channel.Wake();

        public void Dispose() => channel.Dispose();

        private bool OfTheLiving(bool woken) => !host.Died.IsCompleted ? woken : throw new KilledException();
    }

    private sealed class EmptyStore : IXenStore, IXenStoreTransaction
    {
        public static EmptyStore Instance { get; } = new();

        public string? Read(string path) => null;

        public void Write(string path, string value)
        {
            // Nobody reads it.
        }

        public void Remove(string path)
        {
            // Nothing is there.
        }

        public IReadOnlyList<string> List(string path) => [];

        public void SetPermissions(string path, DomainId owner, XenStorePermission others, params XenStoreEntry[] entries)
        {
            // As in Write.
        }

        public IXenStoreTransaction BeginTransaction() => this;

        public IDisposable Watch(string path, Action<string> changed) => this;

        public bool TryCommit() => true;

        public void Dispose()
        {
            // Nothing is open.
        }
    }
}

/// <summary>Nothing that comes after it happened.</summary>
internal sealed class KilledException() : Exception("The process was killed.");
