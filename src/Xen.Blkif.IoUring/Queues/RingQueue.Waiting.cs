using System.Diagnostics;
using Xen.Blkif.IoUring.Kernel;

namespace Xen.Blkif.IoUring.Queues;

/// <content>One system call that starts requests, and waits for results and signals.</content>
internal sealed partial class RingQueue
{
    private readonly Signals _signals;

    /// <inheritdoc/>
    public bool Wait(int millisecondsTimeout)
    {
        _signals.Unmask();
        Arm(Signals.Event);
        Arm(Signals.Wake);
        if (!_signals.HasCome)
            Sleep(millisecondsTimeout);
        return _signals.HasCome;
    }

    /// <inheritdoc/>
    public bool WaitForWake(int millisecondsTimeout)
    {
        long start = Stopwatch.GetTimestamp();
        Arm(Signals.Wake);
        if (_signals.HasWoken)
            return true;

        // An event that was asked for before ends one sleep at most: it is taken, which leaves the port masked, and not asked for again.
        int left = millisecondsTimeout;
        do
        {
            Sleep(left);
            if (millisecondsTimeout >= 0)
                left = (int)Math.Max(0, millisecondsTimeout - Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        while (_arrivedCount == 0 && !_signals.HasWoken && left != 0);

        return _signals.HasWoken;
    }

    private void Arm(int signal)
    {
        if (_signals.TryArm(signal, out int descriptor, out uint generation))
        {
            SubmissionEntry entry = SubmissionEntry.Poll(descriptor);
            entry.Name = NameOf(_slots.Length + signal, generation);
            _ring.Put(entry);
        }
    }

    private void Sleep(int milliseconds)
    {
        if (_arrivedCount > 0)
            return;

        int outcome = _ring.Enter(_ring.Pending, 1, milliseconds);
        if (outcome > 0)
            _refusals = 0;
        else if (IsPressure(outcome) && _ring.Pending > 0)
            Endure(milliseconds);
        else if (outcome < 0 && !IsPressure(outcome) && outcome != -Interop.TimeError)
            throw new IOException($"io_uring_enter failed with error {-outcome}.");
        Drain();
    }

    // The kernel took nothing and did not wait. What it has already may end meanwhile, and give it room.
    private void Endure(int milliseconds)
    {
        if (++_refusals < MostRefusals)
            _ = _ring.Enter(0, 1, milliseconds == 0 ? 0 : 1);
        else
            GiveUp(-Interop.AgainError);
    }
}
