namespace Xen.Blkif.Hypervisor;

/// <summary>Binds to event channels that other domains offer.</summary>
/// <remarks>Thread-safe.</remarks>
public interface IEventChannels
{
    /// <summary>Binds to a port that a domain has allocated for this one.</summary>
    /// <param name="domain">The domain that allocated it.</param>
    /// <param name="remotePort">The port, as that domain names it.</param>
    /// <returns>The channel; disposing it unbinds.</returns>
    /// <exception cref="HypervisorException">The port is not one that can be bound to.</exception>
    IEventChannel Bind(DomainId domain, uint remotePort);
}

/// <summary>One bound event channel, used by the one thread that owns a queue.</summary>
/// <remarks>
/// <see cref="Wait"/>, <see cref="WaitForWake"/> and <see cref="IDisposable.Dispose"/> belong to one thread; <see cref="Notify"/> and
/// <see cref="Wake"/> may come from any.
/// Events that arrive while the owner works coalesce: the port stays masked from the return of <see cref="Wait"/> until the next call of it,
/// so that a guest that storms the port costs one wake-up for each pass of the owner (XSA-332).
/// </remarks>
public interface IEventChannel : IDisposable
{
    /// <summary>Unmasks the port, then blocks until the other end notifies, <see cref="Wake"/> is called, or the time is over.</summary>
    /// <param name="millisecondsTimeout">The longest wait in milliseconds; -1 for no limit; 0 to look without waiting.</param>
    /// <returns>Whether there was a notification or a wake-up.</returns>
    bool Wait(int millisecondsTimeout);

    /// <summary>Blocks until <see cref="Wake"/> is called, or the time is over. What the other end sends meanwhile waits for the next <see cref="Wait"/>.</summary>
    /// <param name="millisecondsTimeout">The longest wait in milliseconds; -1 for no limit; 0 to look without waiting.</param>
    /// <returns>Whether there was a wake-up.</returns>
    /// <remarks>The port is not unmasked: a guest that storms it costs nothing in this time.</remarks>
    bool WaitForWake(int millisecondsTimeout);

    /// <summary>Notifies the other end. Does nothing when that end is gone.</summary>
    void Notify();

    /// <summary>Ends the current or the next <see cref="Wait"/>, without the other domain having a part in it. Does nothing once disposed.</summary>
    void Wake();
}
