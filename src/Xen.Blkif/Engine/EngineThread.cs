using Xen.Blkif.Hypervisor;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Engine;

/// <summary>The thread that owns a queue: runs its engine, and waits on its event channel, or in the target for both at once.</summary>
internal sealed class EngineThread
{
    // Threads of the process that look for work: they must leave processors to those that have it.
    private static readonly int MostLooking = Math.Max(1, Environment.ProcessorCount / 2);
    private static int _looking;

    private readonly RequestEngine _engine;
    private readonly IEventChannel _channel;
    private readonly Action<Exception?> _failed;
    private readonly TaskCompletionSource<bool> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Starts serving.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="channel">The ring's event channel.</param>
    /// <param name="name">The thread's name.</param>
    /// <param name="failed">
    /// Called once, on this thread, when the ring is found corrupt (with null), a flush is lost or the engine threw (with the exception). It
    /// must not block.
    /// </param>
    public EngineThread(RequestEngine engine, IEventChannel channel, string name, Action<Exception?> failed)
    {
        _engine = engine;
        _channel = channel;
        _failed = failed;
        new Thread(Run) { IsBackground = true, Name = name }.Start();
    }

    /// <summary>Takes no further request, brings those under way to an end, and ends the thread.</summary>
    /// <returns>Completes when the thread touches nothing any more.</returns>
    public Task StopAsync()
    {
        _engine.IsDraining = true;
        _channel.Wake();
        return _ended.Task;
    }

    private void Run()
    {
        try
        {
            Serve();
        }
#pragma warning disable CA1031 // one device that fails must not take the process, and with it all other devices, along
        catch (Exception e)
#pragma warning restore CA1031
        {
            _engine.LeaveDevice();
            _failed(e);
        }

        _ended.SetResult(true);
    }

    private void Serve()
    {
        bool reported = false;
        var storm = default(StormBackOff);

        // While the guest is waited for, and while the storage is.
        var guestPolling = default(PollingTime);
        var storagePolling = default(PollingTime);
        while (true)
        {
            // The first pass comes without an event: requests may be older than the binding of the channel.
            if (_engine.RunPass())
                storm.Reset();

            if (_engine.IsDraining && _engine.InFlight == 0)
                return;

            if ((_engine.IsCorrupt || _engine.HasLostFlush) && !reported)
            {
                reported = true;
                _failed(_engine.IsCorrupt ? null : new TargetException("A flush failed, and what was written before it may be lost."));
            }

            bool mayLook = _engine.MayBePolled && !_engine.IsDraining;
            ref PollingTime polling = ref _engine.InFlight == 0 ? ref guestPolling : ref storagePolling;
            long idleSince = mayLook ? _engine.TimeOfLastPass : 0;
            long looked = 0;
            if (mayLook && polling.Ticks > 0)
            {
                mayLook = TryLook(idleSince, polling.Ticks, out bool found, out looked);
                if (found)
                {
                    polling.Found(looked, _engine.MaxPollTicks);
                    _engine.IsPolled = guestPolling.Ticks > 0;
                    continue;
                }
            }

            if (!_engine.PrepareToSleep())
                continue;

            // Results of the target and StopAsync end a pause. What the guest has put meanwhile is found by the pass that follows it.
            if (storm.TryTakePause(out int milliseconds))
                WaitForWake(milliseconds);
            else if (Wait(_engine.MaxSleepMilliseconds))
                storm.Count();

            if (mayLook)
            {
                long now = MonotonicClock.Now();
                polling.Slept(now - idleSince, looked, _engine.MaxPollTicks);
                _engine.IsPolled = guestPolling.Ticks > 0;
                _engine.NoteTime(now);
            }
        }
    }

    /// <summary>Looks for work for a while. No event is asked for meanwhile: a guest need not send what nobody waits for.</summary>
    /// <param name="since">When there was work last, by the clock.</param>
    /// <param name="ticks">How long after that to give up.</param>
    /// <param name="found">Whether there is work.</param>
    /// <param name="looked">How long after that it was looked for, by the last reading of the clock: some hundred looks less than in truth.</param>
    /// <returns>False where others look already, so that nothing is learnt from this time.</returns>
    private bool TryLook(long since, long ticks, out bool found, out long looked)
    {
        // The clock may take longer than many looks, where it is a system call. What is found is not kept waiting for it.
        const int PausesForEachReading = 8;
        found = false;
        looked = 0;
        try
        {
            if (Interlocked.Increment(ref _looking) > MostLooking)
                return false;
            while (true)
            {
                for (int pauses = 0; pauses < PausesForEachReading && !found; pauses++)
                    found = HasWorkSoon();
                if (found || looked >= ticks)
                    return true;
                long now = MonotonicClock.Now();
                looked = now - since;
                _engine.NoteTime(now);
            }
        }
        finally
        {
            Interlocked.Decrement(ref _looking);
        }
    }

    private bool HasWorkSoon()
    {
        // A pause leaves more to the other thread of the processor's core. On a virtual processor it may be an exit to the hypervisor, which
        // takes as long as many looks, and keeps other processors waiting.
        const int LooksForEachPause = 32;
        for (int i = 0; i < LooksForEachPause; i++)
        {
            if (_engine.HasWork)
                return true;
        }

        Thread.SpinWait(1);
        return false;
    }

    private bool Wait(int milliseconds) => _engine.Waitable?.Wait(milliseconds) ?? _channel.Wait(milliseconds);

    private bool WaitForWake(int milliseconds) => _engine.Waitable?.WaitForWake(milliseconds) ?? _channel.WaitForWake(milliseconds);
}
