using Xen.Blkif.Protocol;

namespace Xen.Blkif.Engine;

/// <content>What a predecessor owes the guest.</content>
internal sealed unsafe partial class RequestEngine<TRequest, TResponse>
{
    // No request is taken from the ring before these are begun.
    private bool IsInheriting => _inherited.Length > 0;

    // Returns the slots that are needed: a predecessor may have been allowed more than this engine is.
    private int Inherit(RingJournal journal, int slots)
    {
        _inherited = journal.Settle(_ring.NextResponse, (int)_ring.Size);
        _ring.Inherit((uint)_inherited.Length);
        return _inherited.Length == 0 ? slots : Math.Max(slots, _inherited[_inherited.Length - 1] + 1);
    }

    /// <summary>Begins anew what a predecessor left unanswered. Its data has not left the guest's pages, or has not reached them.</summary>
    /// <returns>Whether the segments of some are yet to be brought out of the guest.</returns>
    private bool BeginInherited(RequestLimits limits)
    {
        bool indirect = false;
        long now = _clock();
        foreach (int index in _inherited)
        {
            TRequest* copy = _pool.Copy(index);
            _journal!.Read(index, out *copy);
            indirect |= Begin(index, _pool.Slot(index), copy, limits, now);
        }

        _inherited = [];
        return indirect;
    }
}
