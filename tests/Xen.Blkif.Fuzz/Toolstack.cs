using Xen.Blkif.Backend;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Fuzz;

/// <summary>What happens to the hostile guest's disk from the side of the host: attached, detached, resized, while the hypervisor fails now and then.</summary>
internal sealed class Toolstack(SimulatedXen xen, SimulatedGuest guest, SuspiciousTarget target, Setting setting, CountingLogs logs, Findings findings) : IDisposable
{
    private readonly string? _folder = setting.KeepsState ? Directory.CreateTempSubdirectory("xen-blkif-fuzz-").FullName : null;
    private readonly Queue<int> _deaths = new();
    private readonly string _frontend = $"/local/domain/{guest.Id}/device/vbd/{HostileGuest.VdevNumber}";
    private readonly string _path = $"/local/domain/0/backend/blkif/{guest.Id}/{HostileGuest.VdevNumber}";

    private ServingProcess? _process;
    private bool _isResized;
    private bool _isFailing;
    private bool _isBuried;

    /// <summary>Whether the hypervisor does what it is asked, and the disk has had its full size since the guest connected.</summary>
    public bool IsSound => !_isResized && !_isFailing;

    /// <summary>Processes that have served the disk so far, with the present one.</summary>
    public int Processes { get; private set; }

    public string? BackendState => xen.Store.Read($"{_path}/state");

    /// <summary>Whether a disk was not taken back from a process that was killed, as its guest had removed its half of it or was to give it back.</summary>
    public bool IsLost => _process is null;

    public bool HasEnded => IsLost || (!_process!.HasDied && _process.Device.Completion.IsCompleted);

    public string Describe() => $"the backend's state is {BackendState ?? "gone"}, the device has {(HasEnded ? "ended" : "not ended")}";

    public void Attach()
    {
        var options = new BackendOptions
        {
            DetachTimeout = TimeSpan.FromMilliseconds(1),
            MaxRequests = setting.MaxRequests,
            MaxIndirectRequests = setting.MaxIndirectRequests,
            GuestMemory = setting.GuestMemory,
            FlushFailure = FlushFailurePolicy.Report, // each request is to have an answer here
            MaxPersistentGrants = setting.Memory.PersistentGrants,
            PersistentGrantTimeout = TimeSpan.FromMilliseconds(setting.Memory.GrantMilliseconds),
            MemoryBudget = new MemoryBudget(setting.Memory.Budget),
            MaxBufferPages = setting.Memory.KeptPages,
            MaxQueues = Setting.MaxQueues,
            OffersBarriers = setting.OffersBarriers,
            StateFolder = _folder,
            LoggerFactory = logs,
        };
        logs.Allow();
        Processes++;
        _process = new ServingProcess(xen, guest, target, options, findings);
        _ = _process.Device;
        if (_deaths.TryDequeue(out int call))
            _process.DieAt(call);
    }

    /// <summary>Takes the disk away, whatever the guest does with it, and waits until nothing is left of it.</summary>
    public void Detach()
    {
        Start();
        _process?.End();
    }

    /// <summary>Kills the process that serves the disk, where the disk survives that.</summary>
    public void Kill()
    {
        if (_folder is null || HasEnded || _isBuried)
            return;
        _process!.Die();
        Bury();
    }

    /// <summary>Kills the process at one of its next calls, and then others after it.</summary>
    public void KillSoon(int[] calls)
    {
        if (_folder is null || HasEnded)
            return;
        foreach (int call in calls.Skip(1))
            _deaths.Enqueue(call);
        _process!.DieAt(calls[0]);
    }

    /// <summary>Has the disk served by a process that lives and is not about to be killed.</summary>
    public void Start()
    {
        _deaths.Clear();
        if (_process?.TrySpare() == false)
            Revive();
    }

    /// <summary>Starts another process where one was killed; which may be killed as well.</summary>
    public void Revive()
    {
        if (_process is not { HasDied: true })
            return;

        Heal();
        if (!_isBuried)
            Bury();
        _isBuried = false;

        // Unless the guest has removed its half or is gone, or was to give the disk back.
        bool isWanted = xen.Store.Read($"{_frontend}/state") is not null && xen.Store.Read($"{_frontend}/backend") == _path && xen.Store.Read($"{_path}/online") == "1";
        try
        {
            Attach();
        }
        catch (HypervisorException e)
        {
            // What is left then is for the operator to remove.
            findings.Check(!isWanted, $"a disk is not taken back: {e.Message}");
            _process = null;
            xen.Store.Remove($"/local/domain/0/backend/blkif/{guest.Id}");
            foreach (string file in Directory.GetFiles(_folder!))
                File.Delete(file);
        }
    }

    private void Bury()
    {
        _process!.Bury(target);
        _isBuried = true;
    }

    /// <summary>Attaches the disk anew where it has ended.</summary>
    /// <returns>False where that failed, which is a finding.</returns>
    public bool EnsureAttached(HostileGuest hostile)
    {
        Start();
        if (!HasEnded)
            return true;
        Detach();
        hostile.DropRings();

        // What the guest has put there meanwhile would look like a disk that it has.
        xen.Store.Remove(hostile.Frontend);
        if (!findings.Any)
            Attach();
        return !findings.Any;
    }

    public void Ask() => BlockBackend.RequestDetach(xen, guest.Id, HostileGuest.Vdev, new BackendOptions().BackendType);

    public void Resize(long length)
    {
        _isResized = true;
        logs.Allow();
        target.Length = length;

        // One that comes after a process that was killed reads it anew.
        if (_process is { HasDied: false } process)
            process.Device.RefreshSize();
    }

    /// <summary>Fails one in a few of the guest's copies and mappings.</summary>
    public void Fail(Random random, GrantStatus status)
    {
        _isFailing = true;
        int every = random.Next(2, 10);
        int count = 0;
        GrantStatus Fault(DomainId domain, GrantReference reference) =>
            domain == guest.Id && Interlocked.Increment(ref count) % every == 0 ? status : GrantStatus.Okay;
        xen.Grants.CopyFault = Fault;
        xen.Grants.MapFault = Fault;
    }

    public void Heal()
    {
        xen.Grants.CopyFault = null;
        xen.Grants.MapFault = null;
        _isFailing = false;
    }

    /// <summary>A guest is about to connect: the size that the disk has now is that of its connection.</summary>
    public void NoteSize() => _isResized = target.Length != SuspiciousTarget.Capacity;

    /// <summary>A guest begins to mark its barriers, or may mark other requests by now.</summary>
    public void TrustBarriers(bool trust) => target.ExpectsSolitude = trust;

    public void Dispose()
    {
        if (_folder is null)
            return;
        findings.Check(Directory.GetFiles(_folder).Length == 0, "the state of a device is there after the end");
        Directory.Delete(_folder, recursive: true);
    }
}
