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
    private void BeginInherited(RequestLimits limits)
    {
        long now = _clock();
        foreach (int index in _inherited)
        {
            RequestSlot* slot = _pool.Slot(index);
            _journal!.Read(index, out *RequestPool<TRequest>.Copy(slot));
            Begin(slot, limits, now);
        }

        _inherited = [];
    }
}
