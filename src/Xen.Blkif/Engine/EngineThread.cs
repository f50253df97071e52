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
        var polling = default(PollingTime);
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
            long idleSince = mayLook ? MonotonicClock.Now() : 0;
            if (mayLook && polling.Ticks > 0)
            {
                mayLook = TryLook(idleSince + Math.Min(polling.Ticks, _engine.MaxPollTicks), out bool found);
                if (found)
                {
                    polling.Found();
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
                polling.Slept(MonotonicClock.Now() - idleSince, _engine.MaxPollTicks);
                _engine.IsPolled = polling.Ticks > 0;
            }
        }
    }

    /// <summary>Looks for work for a while. No event is asked for meanwhile: a guest need not send what nobody waits for.</summary>
    /// <param name="until">When to give up, by the clock.</param>
    /// <param name="found">Whether there is work.</param>
    /// <returns>False where others look already, so that nothing is learnt from this time.</returns>
    private bool TryLook(long until, out bool found)
    {
        found = false;
        try
        {
            if (Interlocked.Increment(ref _looking) > MostLooking)
                return false;
            while (!(found = _engine.HasWork) && MonotonicClock.Now() < until)
                Thread.SpinWait(1); // for the other thread of the processor's core
            return true;
        }
        finally
        {
            Interlocked.Decrement(ref _looking);
        }
    }

    private bool Wait(int milliseconds) => _engine.Waitable?.Wait(milliseconds) ?? _channel.Wait(milliseconds);

    private bool WaitForWake(int milliseconds) => _engine.Waitable?.WaitForWake(milliseconds) ?? _channel.WaitForWake(milliseconds);
}
