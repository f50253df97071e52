using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Engine;

/// <summary>Pieces of many requests, gathered and copied with as few calls to the hypervisor as there is room for.</summary>
/// <param name="grants">The grant table.</param>
internal sealed unsafe class GrantCopyBatch(IGrantTable grants)
{
    // Calls cost little beside a thousand pages; a ring of large requests has more pieces than anyone needs at once.
    private const int Capacity = 1024;
    private const int MaxRetries = 3;

    private readonly GrantCopySegment[] _pieces = new GrantCopySegment[Capacity];
    private readonly nint[] _owners = new nint[Capacity];
    private int _count;

    /// <summary>Adds a piece of a request, copying first what there is no more room beside.</summary>
    public void Add(RequestSlot* owner, in GrantCopySegment piece)
    {
        if (_count == Capacity)
            Copy();
        _pieces[_count] = piece;
        _owners[_count] = (nint)owner;
        _count++;
    }

    /// <summary>Copies what was added and not copied yet. A piece that fails fails its request alone.</summary>
    public void Copy()
    {
        if (_count == 0)
            return;

        if (!grants.Copy(_pieces.AsSpan(0, _count)))
            Settle();
        _count = 0;
    }

    private void Settle()
    {
        for (int i = 0; i < _count; i++)
        {
            // A page that is paged out comes back: the hypervisor says so and expects to be asked again.
            for (int retry = 0; retry < MaxRetries && _pieces[i].Status == GrantStatus.TryAgain; retry++)
                grants.Copy(_pieces.AsSpan(i, 1));

            if (_pieces[i].Status != GrantStatus.Okay)
                ((RequestSlot*)_owners[i])->Status = BlkifStatus.Error;
        }
    }
}
