using Xen.Blkif.Hypervisor;
using Xen.Blkif.Linux;

namespace Xen.Blkif.IoUring.Tests;

/// <summary>
/// A channel of the simulated Xen, whose events a thread passes on to an eventfd, one for each unmasking. Who waits on the channel itself, and
/// not on its descriptors, gets an exception.
/// </summary>
internal sealed class DescriptorChannel : IEventChannel, IEventDescriptors
{
    private readonly IEventChannel _inner;
    private readonly EventFd _event = new();
    private readonly EventFd _wake = new();
    private readonly SemaphoreSlim _open = new(1);
    private readonly Thread _thread;
    private volatile bool _closed;
    private bool _masked;
    private int _events;
    private int _wakes;

    public DescriptorChannel(IEventChannel inner)
    {
        _inner = inner;
        _thread = new Thread(PassOn) { IsBackground = true, Name = "events" };
        _thread.Start();
    }

    /// <summary>Events that were taken.</summary>
    public int Events => Volatile.Read(ref _events);

    /// <summary>Wake-ups, each a system call of the one who woke.</summary>
    public int Wakes => Volatile.Read(ref _wakes);

    public int EventDescriptor => _event.Descriptor;

    public int WakeDescriptor => _wake.Descriptor;

    public void Unmask()
    {
        if (!_masked)
            return;
        _masked = false;
        _open.Release();
    }

    public void TakeEvent()
    {
        Assert.That(_masked, Is.False, "one event for each unmasking");
        _masked = true;
        _event.Clear();
        Interlocked.Increment(ref _events);
    }

    public void TakeWake() => _wake.Clear();

    public bool Wait(int millisecondsTimeout) => throw new InvalidOperationException("The channel is waited on, and not the ring.");

    public bool WaitForWake(int millisecondsTimeout) => throw new InvalidOperationException("The channel is waited on, and not the ring.");

    public void Notify() => _inner.Notify();

    public void Wake()
    {
        Interlocked.Increment(ref _wakes);
        _wake.Signal();
    }

    public void Dispose()
    {
        _closed = true;
        _inner.Wake();
        _open.Release();
        _thread.Join();
        _inner.Dispose();
        _event.Dispose();
        _wake.Dispose();
    }

    private void PassOn()
    {
        try
        {
            while (true)
            {
                _open.Wait();
                if (_closed)
                    return;
                while (!_inner.Wait(Timeout.Infinite))
                {
                    // Nothing ends it but an event and the end.
                }

                _event.Signal();
            }
        }
        catch (ObjectDisposedException)
        {
            // The guest is gone.
        }
    }
}
