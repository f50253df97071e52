using Xen.Blkif.Hypervisor;
using Xen.Blkif.Memory;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Engine;

/// <summary>Pieces of many requests, gathered and copied with as few calls to the hypervisor as there is room for.</summary>
internal sealed unsafe class GrantCopyBatch : IDisposable
{
    // Calls cost little beside a thousand pages; a ring of large requests has more pieces than anyone needs at once.
    private const int Capacity = 1024;
    private const int MaxRetries = 3;

    private readonly IGrantTable _grants;
    private readonly NativeBuffer _memory = new(Capacity * (sizeof(GrantCopySegment) + sizeof(Run)));

    // SAFETY: both point into the memory and have room for as many; the counts never pass that, for each run has a piece.
    private readonly GrantCopySegment* _pieces;
    private readonly Run* _runs;
    private int _count;
    private int _runCount;

    /// <param name="grants">The grant table.</param>
    public GrantCopyBatch(IGrantTable grants)
    {
        _grants = grants;
        _pieces = (GrantCopySegment*)_memory.Start;
        _runs = (Run*)(_pieces + Capacity);
    }

    /// <summary>Makes room for the pieces of a request, copying first what there is no more room beside.</summary>
    /// <param name="owner">The request.</param>
    /// <param name="count">How many, 1 to <see cref="RequestLimits.IndirectSegmentsCeiling"/>.</param>
    /// <returns>The first, to be written before anything else is done here.</returns>
    public GrantCopySegment* Add(RequestSlot* owner, int count)
    {
        if (_count + count > Capacity)
            Copy();
        GrantCopySegment* first = _pieces + _count;
        _count += count;
        _runs[_runCount++] = new Run { Owner = owner, End = _count };
        return first;
    }

    /// <summary>Copies what was added and not copied yet. A piece that fails fails its request alone.</summary>
    public void Copy()
    {
        if (_count == 0)
            return;

        if (!_grants.Copy(new Span<GrantCopySegment>(_pieces, _count)))
            Settle();
        _count = 0;
        _runCount = 0;
    }

    public void Dispose() => _memory.Dispose();

    private void Settle()
    {
        int i = 0;
        for (int run = 0; run < _runCount; run++)
        {
            for (; i < _runs[run].End; i++)
            {
                if (!Succeeds(i))
                    _runs[run].Owner->Status = BlkifStatus.Error;
            }
        }
    }

    private bool Succeeds(int piece)
    {
        // A page that is paged out comes back: the hypervisor says so and expects to be asked again.
        for (int retry = 0; retry < MaxRetries && _pieces[piece].Status == GrantStatus.TryAgain; retry++)
            _grants.Copy(new Span<GrantCopySegment>(_pieces + piece, 1));
        return _pieces[piece].Status == GrantStatus.Okay;
    }

    // The pieces of one request, from the end of the run before.
    private struct Run
    {
        public RequestSlot* Owner;
        public int End;
    }
}
