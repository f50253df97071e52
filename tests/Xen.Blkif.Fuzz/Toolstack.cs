using Xen.Blkif.Backend;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Fuzz;

/// <summary>What happens to the hostile guest's disk from the side of the host: attached, detached, resized, while the hypervisor fails now and then.</summary>
internal sealed class Toolstack(SimulatedXen xen, SimulatedGuest guest, SuspiciousTarget target, Setting setting, CountingLogs logs, Findings findings)
{
    private readonly string _state = $"/local/domain/0/backend/blkif/{guest.Id}/{HostileGuest.VdevNumber}/state";
    private BlockBackend? _backend;
    private bool _isResized;
    private bool _isFailing;

    /// <summary>Whether the hypervisor does what it is asked, and the disk has had its full size since the guest connected.</summary>
    public bool IsSound => !_isResized && !_isFailing;

    public string? BackendState => xen.Store.Read(_state);

    public bool HasEnded => _backend!.Completion.IsCompleted;

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
            MaxPersistentGrants = 16, // fewer than it has, so that some have to go
            PersistentGrantTimeout = TimeSpan.FromMilliseconds(20),
            LoggerFactory = logs,
        };
        logs.Allow();
        Task<BlockBackend> attaching = BlockBackend.AttachAsync(xen, guest.Id, HostileGuest.Vdev, target, options);
        if (Patience.Until(() => attaching.IsCompleted))
            _backend = attaching.GetAwaiter().GetResult();
        else
            findings.Add("a disk is never attached");
    }

    /// <summary>Takes the disk away, whatever the guest does with it, and waits until nothing is left of it.</summary>
    public void Detach()
    {
        Task ending = _backend!.DisposeAsync().AsTask();
        if (Patience.Until(() => ending.IsCompleted))
            ending.GetAwaiter().GetResult();
        else
            findings.Add($"the device is never detached: {Describe()}");
    }

    /// <summary>Attaches the disk anew where it has ended.</summary>
    /// <returns>False where that failed, which is a finding.</returns>
    public bool EnsureAttached(HostileGuest hostile)
    {
        if (!HasEnded)
            return true;
        Detach();
        hostile.DropRing();

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
        _backend!.RefreshSize();
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
}
