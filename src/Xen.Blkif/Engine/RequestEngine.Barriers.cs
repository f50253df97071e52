using Xen.Blkif.Protocol;

namespace Xen.Blkif.Engine;

/// <content>Writes with a barrier: what came before is done first, on all queues, and what comes after waits.</content>
internal sealed unsafe partial class RequestEngine<TRequest, TResponse>
{
    // The queue's part in the gate of the device; null where it has no other queue, or offers no barriers.
    private readonly BarrierGate.Member? _gate;

    // The barrier that was taken. What is behind it in the ring stays there.
    private RequestSlot* _barrier;

    /// <inheritdoc/>
    internal override void LeaveDevice() => _gate?.Leave();

    // Busy before a request is taken; see BarrierGate.
    private void EnterGate()
    {
        if (_gate is null)
            return;
        if (_gate.TryEnter())
            _obstacles &= ~Obstacles.Gate;
        else
            _obstacles |= Obstacles.Gate;
    }

    private void LeaveGate()
    {
        if (_gate is null)
            return;
        int waiting = (_obstacles & Obstacles.BarrierWaits) != Obstacles.None ? 1 : 0;
        if (_pool.Rented == waiting)
            _gate.BeIdle();
    }

    private void NoteBarrier(RequestSlot* slot)
    {
        if (slot->Kind != BlockRequestKind.Barrier)
            return;
        _barrier = slot;
        _obstacles |= Obstacles.Barrier | Obstacles.BarrierWaits;
    }

    /// <summary>Begins the barrier when all that came before it is done.</summary>
    private void StartBarrier()
    {
        if ((_obstacles & Obstacles.BarrierWaits) == Obstacles.None)
            return;
        bool isAlone = _pool.Rented - _finished.Count == 1;
        if (!isAlone || (_gate is not null && !_gate.TryClose()))
            return;

        _obstacles &= ~Obstacles.BarrierWaits;
        Run(_barrier);
    }

    /// <summary>Lets later requests pass where a barrier has come to its end, whatever that is.</summary>
    private void EndBarrier(RequestSlot* slot)
    {
        if (slot != _barrier)
            return;

        _barrier = null;
        _obstacles &= ~(Obstacles.Barrier | Obstacles.BarrierWaits);
        _gate?.Open();
    }
}
