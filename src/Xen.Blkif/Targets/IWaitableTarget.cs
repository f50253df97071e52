using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Targets;

/// <summary>A target whose queues their owner can wait in, for results and for its guest, with one system call.</summary>
public interface IWaitableTarget : IBlockTarget
{
    /// <summary>Opens what one ring uses, for an owner that waits in it.</summary>
    /// <param name="depth">How many requests can be under way at once; slots are numbered from 0 to one less.</param>
    /// <param name="completions">Where requests are completed that <see cref="IBlockQueue.Submit"/> left pending.</param>
    /// <param name="events">What else the owner waits for. Outlives the queue.</param>
    /// <returns>The queue; null where there is nothing to wait in, and <see cref="IBlockTarget.OpenQueue"/> gives what there is.</returns>
    IWaitableQueue? OpenQueue(int depth, IBlockCompletions completions, IEventDescriptors events);
}

/// <summary>A queue that its owner waits in, for results and for its guest.</summary>
/// <remarks>
/// Every call belongs to the owner's thread, which need not be the one that opened the queue. The owner calls <see cref="Reap"/>, looks at
/// what its guest and others have for it, and only then waits. While enough is under way, <see cref="IBlockQueue.Unplug"/> may leave what was held
/// back to the owner's next <see cref="Reap"/> or wait, whichever comes first.
/// </remarks>
public interface IWaitableQueue : IBlockQueue
{
    /// <summary>Whether there is anything that <see cref="Reap"/> would bring or take: results, events or wake-ups. A look without a system call.</summary>
    bool HasResults { get; }

    /// <summary>Brings the results that are there to the completions that the queue was opened with, on this thread.</summary>
    void Reap();

    /// <summary>Starts what is held back, then blocks until there is a result, an event or a wake-up, or the time is over. The port is unmasked first.</summary>
    /// <param name="millisecondsTimeout">The longest wait in milliseconds; -1 for no limit; 0 to look without waiting.</param>
    /// <returns>Whether an event or a wake-up has come since the last <see cref="Reap"/>, which is to be called next in any case.</returns>
    /// <exception cref="IOException">The system cannot wait.</exception>
    bool Wait(int millisecondsTimeout);

    /// <summary>The same, but events do not end the wait, and the port is not unmasked: a guest that storms it costs nothing in this time.</summary>
    /// <param name="millisecondsTimeout">The longest wait in milliseconds; -1 for no limit; 0 to look without waiting.</param>
    /// <returns>Whether a wake-up has come since the last <see cref="Reap"/>.</returns>
    /// <exception cref="IOException">The system cannot wait.</exception>
    bool WaitForWake(int millisecondsTimeout);
}
