using System.Diagnostics;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>One end of an event channel, the backend's or the guest's.</summary>
/// <remarks>
/// <see cref="Wait"/> and <see cref="WaitForWake"/> belong to one thread; everything else may come from any. A closed end returns from a wait that is under way and
/// refuses the next. When one end closes, the other stays open and may be bound to again if it is the one that was allocated.
/// </remarks>
public sealed class SimulatedEventChannel : IEventChannel
{
    private readonly SimulatedEventChannels _channels;
    private readonly SimulatedXenLimits _limits;
    private readonly object _gate = new();
    private SimulatedEventChannel? _peer;
    private long _notifications;
    private int _pending;  // an event of the other end
    private int _woken;    // a call of Wake
    private int _waiting;
    private volatile bool _closed;

    internal SimulatedEventChannel(SimulatedEventChannels channels, SimulatedXenLimits limits, DomainId owner, DomainId remote, uint port)
    {
        _channels = channels;
        _limits = limits;
        Owner = owner;
        Remote = remote;
        Port = port;
    }

    /// <summary>The port, as the domain that holds this end names it; from 1.</summary>
    public uint Port { get; }

    /// <summary>The domain of the other end.</summary>
    public DomainId Remote { get; }

    /// <summary>Whether there is another end now.</summary>
    // Acquire: later reads of the caller do not move before this one. Pairs with the writes in Connect and Disconnect.
    public bool IsBound => Volatile.Read(ref _peer) is not null;

    /// <summary>Calls of <see cref="Notify"/> that had another end to go to.</summary>
    public long Notifications => Interlocked.Read(ref _notifications); // Whole also where a process has 32 bits.

    internal DomainId Owner { get; }

    /// <inheritdoc/>
    /// <exception cref="ArgumentOutOfRangeException">The time is below -1.</exception>
    /// <exception cref="ObjectDisposedException">This end is closed.</exception>
    public bool Wait(int millisecondsTimeout)
    {
        CheckWait(millisecondsTimeout);
        if (TakePending())
            return true;
        return millisecondsTimeout != 0 && (Spin() || Block(millisecondsTimeout, masked: false));
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentOutOfRangeException">The time is below -1.</exception>
    /// <exception cref="ObjectDisposedException">This end is closed.</exception>
    public bool WaitForWake(int millisecondsTimeout)
    {
        CheckWait(millisecondsTimeout);
        return Block(millisecondsTimeout, masked: true);
    }

    /// <inheritdoc/>
    public void Notify()
    {
        // Acquire: the other end is read after the reference to it. Pairs with the write in Connect.
        var peer = Volatile.Read(ref _peer);
        if (peer is null)
            return;
        _ = Interlocked.Increment(ref _notifications); // A count from many threads; orders nothing.
        peer.Signal(ref peer._pending);
    }

    /// <inheritdoc/>
    public void Wake() => Signal(ref _woken);

    /// <summary>Closes this end: the port is free, and the other end notifies nobody. Does nothing the second time.</summary>
    public void Dispose() => _channels.Close(this);

    /// <summary>Makes the two ends one channel. Under the lock of the channels.</summary>
    internal void Connect(SimulatedEventChannel allocated)
    {
        // Not yet shared with another thread: the write below publishes this end.
        _peer = allocated;
        _pending = 1;
        // Release: this end is complete before the guest's Notify can reach it. Pairs with the read in Notify.
        Volatile.Write(ref allocated._peer, this);
    }

    /// <summary>Takes this end from the other and ends a wait. Under the lock of the channels.</summary>
    internal void Disconnect()
    {
        _closed = true;
        var peer = _peer;
        if (peer is not null)
        {
            // Release: a Notify that does not see this any more sees what was done before. One that still does wakes an end that is closed.
            Volatile.Write(ref peer._peer, null);
            Volatile.Write(ref _peer, null);
        }

        Wake();
    }

    private void CheckWait(int millisecondsTimeout)
    {
        if (millisecondsTimeout < -1)
            throw new ArgumentOutOfRangeException(nameof(millisecondsTimeout), millisecondsTimeout, "A wait takes -1 or more milliseconds.");
        if (_closed)
            throw new ObjectDisposedException(nameof(SimulatedEventChannel), $"Port {Port} of domain {Owner} is closed.");
    }

    // Full fence: what the caller wrote before is visible before the flag is, and the flag is visible before _waiting is read. Pairs with the
    // exchanges in TakePending and TakeWoken and with the fence in Block: either this thread sees the waiter or the waiter sees the flag.
    // Where the flag was set already, whoever set it has woken the waiter.
    private void Signal(ref int flag)
    {
        if (Interlocked.Exchange(ref flag, 1) == 0 && Volatile.Read(ref _waiting) != 0)
            Pulse();
    }

    // Full fence: what this thread does next, such as reading a ring, comes after the event is cleared, so that a request that is published
    // later finds it cleared and wakes this thread again. Pairs with the exchange in Signal.
    private bool TakePending() => (Interlocked.Exchange(ref _pending, 0) != 0) | TakeWoken();

    // Full fence where there is something to take, as above.
    private bool TakeWoken() => Volatile.Read(ref _woken) != 0 && Interlocked.Exchange(ref _woken, 0) != 0;

    /// <summary>Looks for a few microseconds: an event that comes in this time costs no switch of threads on either side.</summary>
    private bool Spin()
    {
        var end = Stopwatch.GetTimestamp() + _limits.WaitSpinMicroseconds * Stopwatch.Frequency / 1_000_000;
        while (Stopwatch.GetTimestamp() < end)
        {
            // Acquire: read anew in each turn. The exchange that takes the event comes only once it is there, to leave the line shared
            // until then.
            if ((Volatile.Read(ref _pending) | Volatile.Read(ref _woken)) != 0 && TakePending())
                return true;
            Thread.SpinWait(1);
        }

        return false;
    }

    private bool Block(int millisecondsTimeout, bool masked)
    {
        var start = Stopwatch.GetTimestamp();
        lock (_gate)
        {
            _waiting = 1;
            // Full fence: _waiting is visible before the flags are read. Pairs with the exchange in Signal.
            Interlocked.MemoryBarrier();
            try
            {
                while (true)
                {
                    if (masked ? TakeWoken() : TakePending())
                        return true;
                    var left = Timeout.Infinite;
                    if (millisecondsTimeout >= 0)
                    {
                        var gone = (Stopwatch.GetTimestamp() - start) * 1000 / Stopwatch.Frequency;
                        if (gone >= millisecondsTimeout)
                            return false;
                        left = (int)(millisecondsTimeout - gone);
                    }

                    _ = Monitor.Wait(_gate, left);
                }
            }
            finally
            {
                _waiting = 0;
            }
        }
    }

    private void Pulse()
    {
        // The waiter holds the lock from before it looked for the event until it waits, so that this pulse cannot come in between.
        lock (_gate)
            Monitor.Pulse(_gate);
    }
}
