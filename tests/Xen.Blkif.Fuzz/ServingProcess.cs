using Xen.Blkif.Backend;
using Xen.Blkif.Engine;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Fuzz;

/// <summary>A process that serves the hostile guest's disk, and that can be killed where it keeps its state in a folder.</summary>
internal sealed class ServingProcess
{
    private readonly MortalHost? _host;
    private readonly Findings _findings;
    private readonly Task<BlockBackend> _attaching;

    public ServingProcess(SimulatedXen xen, SimulatedGuest guest, SuspiciousTarget target, BackendOptions options, Findings findings)
    {
        Options = options;
        _findings = findings;
        _host = options.StateFolder is null ? null : new MortalHost(xen) { OnDeath = target.Abandon };
        _attaching = _host is null
            ? BlockBackend.AttachAsync(xen, guest.Id, HostileGuest.Vdev, target, options)
            : BlockBackend.AttachAsync(_host, guest.Id, HostileGuest.Vdev, target, options);
        findings.Check(Patience.Until(() => _attaching.IsCompleted), "a disk is never attached");
    }

    public BackendOptions Options { get; }

    /// <summary>The device. Throws what attaching it threw.</summary>
    public BlockBackend Device => _attaching.GetAwaiter().GetResult();

    public bool HasDied => _host is { Died.IsCompleted: true };

    /// <summary>Kills it at one of its next calls.</summary>
    public void DieAt(int call) => _host?.DieAt(call);

    public void Die() => _host?.Die();

    /// <summary>Has it live on.</summary>
    /// <returns>False where it is dead.</returns>
    public bool TrySpare() => _host?.TrySpare() ?? true;

    /// <summary>Ends the device, and waits until nothing is left of it.</summary>
    public void End()
    {
        Dispose("the device is never detached");
        _findings.Check(Options.MemoryBudget.Used == 0, $"{Options.MemoryBudget.Used} bytes of the budget are taken after the end");
    }

    /// <summary>Gives back what the hypervisor and the kernel take back from a process that died.</summary>
    /// <param name="target">The storage that it had.</param>
    public void Bury(SuspiciousTarget target)
    {
        target.Die();

        // What a device does at its very end, a process that is killed does not come to.
        string[] states = Directory.GetFiles(Options.StateFolder!);
        var kept = states.ToDictionary(state => state, state => $"{state}-kept");
        foreach ((string state, string aside) in kept)
            TryMove(state, aside);
        _host!.Bury();
        Dispose("the threads of a process that was killed do not end");
        FreeEngines();
        _host.Dispose();
        foreach ((string state, string aside) in kept)
            TryMove(aside, state);
    }

    private void Dispose(string orElse)
    {
        Task ending = Device.DisposeAsync().AsTask();
        if (Patience.Until(() => ending.IsCompleted))
            ending.GetAwaiter().GetResult();
        else
            _findings.Add(orElse);
    }

    // It was gone already where the device had ended before the process died.
    private static void TryMove(string from, string to)
    {
        try
        {
            File.Move(from, to);
        }
        catch (FileNotFoundException)
        {
            // As above.
        }
    }

    // A process that lives keeps engines that died with requests under way, for ever. Here there would be too many.
    private void FreeEngines()
    {
        var others = new List<RequestEngine>();
        while (RingConnection.Kept.TryTake(out RequestEngine? engine))
        {
            if (Device.Queues.Contains(engine.Statistics))
                engine.Dispose();
            else
                others.Add(engine);
        }

        others.ForEach(RingConnection.Kept.Add);
    }
}
