using System.Diagnostics;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Engine;

/// <content>Flushes that failed: see <see cref="FlushFailurePolicy"/>.</content>
internal sealed unsafe partial class RequestEngine<TRequest, TResponse>
{
    private readonly FlushFailurePolicy _flushFailure;

    // Those that are to be tried again, all at once when the time has come.
    private readonly RequestSlot*[] _heldFlushes;
    private int _heldCount;
    private long _heldUntil;

    /// <inheritdoc/>
    public override bool HasLostFlush => (_obstacles & Obstacles.LostFlush) != Obstacles.None;

    // Rounded up: who wakes a moment too early finds nothing to do. -1 where there is nothing to wait for.
    private int MillisecondsUntilRetry =>
        _heldCount == 0 ? Timeout.Infinite : (int)Math.Ceiling(Math.Max(_heldUntil - _clock(), 0) * 1e3 / Stopwatch.Frequency);

    /// <summary>Tries again, or, where the guest has let go of its ring, gives up.</summary>
    private void RetryFlushes()
    {
        if (_heldCount == 0 || (!IsDraining && _clock() < _heldUntil))
            return;

        int count = _heldCount;
        _heldCount = 0;
        for (int i = 0; i < count; i++)
        {
            if (IsDraining)
                Abandon(_heldFlushes[i]);
            else
                Run(_heldFlushes[i]);
        }
    }

    /// <summary>Keeps a flush that failed from the guest, as the policy says.</summary>
    /// <returns>False where the guest is to be told.</returns>
    private bool TryHold(RequestSlot* slot, BlockStatus status)
    {
        if (status != BlockStatus.Error || slot->Kind is not (BlockRequestKind.Flush or BlockRequestKind.FlushThenWrite or BlockRequestKind.Barrier))
            return false;

        if (_flushFailure.AllowsRetry(slot->Retries) && !HasLostFlush)
        {
            slot->Retries++;
            if (_heldCount == 0)
                _heldUntil = _clock() + (long)(_flushFailure.Pause.TotalSeconds * Stopwatch.Frequency);
            _heldFlushes[_heldCount++] = slot;
            return true;
        }

        if (_flushFailure.TellsGuest)
            return false;
        _log.Failed(slot->Kind, slot->Offset, slot->Length, status);
        _obstacles |= Obstacles.LostFlush;
        Abandon(slot);
        return true;
    }

    // Without a response: any would be taken for something that it is not.
    private void Abandon(RequestSlot* slot)
    {
        long now = _clock();
        slot->Status = BlkifStatus.Error;
        _guest.Release(slot, now);
        Statistics.Count(*slot);
        Statistics.Time(*slot, now);
        EndBarrier(slot);
        _pool.Return(slot);
    }
}
