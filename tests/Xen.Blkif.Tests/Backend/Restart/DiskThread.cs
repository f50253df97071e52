using Xen.Blkif.Targets;
using Xen.Blkif.Tests.Engine.Restart;

namespace Xen.Blkif.Tests.Backend.Restart;

/// <summary>Storage of a process: does requests on a thread of its own, never in order, until the process is killed.</summary>
internal sealed class DiskThread
{
    private readonly Task _working;
    private volatile bool _dead;

    public DiskThread(IBlockTarget disk)
    {
        Target = new LaggardTarget(disk);
        _working = Task.Factory.StartNew(Work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    public LaggardTarget Target { get; }

    /// <summary>Ends it with what it is doing; what waits is never done. A kernel lets go of a process's locks after that.</summary>
    public async Task DieAsync()
    {
        Target.Die();
        _dead = true;
        await _working;
    }

    private void Work()
    {
        while (!_dead)
        {
            if (!Target.DoNewest(2))
                Thread.Yield();
        }
    }
}
