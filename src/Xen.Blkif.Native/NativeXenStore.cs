using System.Globalization;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Linux;
using Xen.Blkif.Native.Handles;
using Xen.Blkif.Native.Interop;

namespace Xen.Blkif.Native;

/// <summary>xenstore by libxenstore, whose handle is thread-safe. One thread of its own hears of the watches.</summary>
internal sealed unsafe class NativeXenStore : NativeXenStoreAccess, IXenStore, IDisposable
{
    private readonly StoreHandle _handle;
    private readonly EventFd _doorbell = NativeFailure.CheckDoorbell(new EventFd());
    private readonly Dictionary<string, Registration> _watches = new(StringComparer.Ordinal);
    private readonly Thread _thread;
    private long _tokens;
    private volatile bool _closing;

    private NativeXenStore(StoreHandle handle)
        : base(handle, 0)
    {
        _handle = handle;
        _thread = new Thread(Hear) { IsBackground = true, Name = "xenstore watches" };
        _thread.Start();
    }

    public static NativeXenStore Open() => new(StoreHandle.Open());

    /// <inheritdoc/>
    public IXenStoreTransaction BeginTransaction()
    {
        uint transaction = LibXenStore.TransactionStart(Raw);
        return transaction != 0 ? new NativeXenStoreTransaction(_handle, transaction) : throw NativeFailure.Of("A xenstore transaction cannot be begun");
    }

    /// <inheritdoc/>
    public IDisposable Watch(string path, Action<string> changed)
    {
        var registration = new Registration(this, path, Interlocked.Increment(ref _tokens).ToString(CultureInfo.InvariantCulture), changed);
        lock (_watches)
            _watches.Add(registration.Token, registration);

        fixed (byte* at = StoreText.Terminated(path), token = StoreText.Terminated(registration.Token))
        {
            if (LibXenStore.Watch(Raw, at, token) != 0)
                return registration;
        }

        HypervisorException failure = NativeFailure.Of($"{path} cannot be watched");
        lock (_watches)
            _watches.Remove(registration.Token);
        throw failure;
    }

    public void Dispose()
    {
        if (_closing)
            return;
        _closing = true;
        _doorbell.Signal();
        _thread.Join();
        _doorbell.Dispose();
        _handle.Dispose();
    }

    private void Forget(Registration registration)
    {
        // Under the lock that callbacks run under: once this returns, the callback is not called again.
        lock (_watches)
        {
            if (!_watches.Remove(registration.Token) || _closing)
                return;
        }

        fixed (byte* at = StoreText.Terminated(registration.Path), token = StoreText.Terminated(registration.Token))
            _ = LibXenStore.Unwatch(Raw, at, token);
    }

    private void Hear()
    {
        LibC.PollDescriptor* waited = stackalloc LibC.PollDescriptor[2];
        while (!_closing)
        {
            waited[0] = new LibC.PollDescriptor { Descriptor = LibXenStore.FileDescriptor(Raw), Events = LibC.PollIn };
            waited[1] = new LibC.PollDescriptor { Descriptor = _doorbell.Descriptor, Events = LibC.PollIn };
            _ = LibC.Poll(waited, 2, Timeout.Infinite);
            while (LibXenStore.CheckWatch(Raw) is var fired && fired is not null)
            {
                // Two strings: the path that changed and the token of the watch.
                string path = StoreText.Of(fired[0]);
                string token = StoreText.Of(fired[1]);
                LibC.Free(fired);
                Tell(path, token);
            }
        }
    }

    private void Tell(string path, string token)
    {
        lock (_watches)
        {
            // An event may still come for a watch that has just ended.
            if (_watches.TryGetValue(token, out Registration? registration))
                registration.Changed(path);
        }
    }

    private sealed class Registration(NativeXenStore store, string path, string token, Action<string> changed) : IDisposable
    {
        public string Path => path;

        public string Token => token;

        public Action<string> Changed => changed;

        public void Dispose() => store.Forget(this);
    }
}
