using Xen.Blkif.Protocol;

namespace Xen.Blkif.Engine;

/// <content>Writes with a barrier: what came before is done first, on all queues, and what comes after waits.</content>
internal sealed unsafe partial class RequestEngine<TRequest, TResponse>
{
    private const int None = -1;

    // The queue's part in the gate of the device; null where it has no other queue, or offers no barriers.
    private readonly BarrierGate.Member? _gate;

    // The barrier that was taken, by slot. What is behind it in the ring stays there.
    private int _barrier = None;
    private bool _barrierBegun;
    private bool _isShutOut;

    /// <inheritdoc/>
    internal override void LeaveDevice() => _gate?.Leave();

    // Busy before a request is taken; see BarrierGate.
    private void EnterGate() => _isShutOut = _gate is not null && !_gate.TryEnter();

    private void LeaveGate()
    {
        if (_gate is null)
            return;
        int waiting = _barrier != None && !_barrierBegun ? 1 : 0;
        if (_pool.Rented == waiting)
            _gate.BeIdle();
    }

    private void NoteBarrier(int index)
    {
        if (_pool.Slot(index)->Kind == BlockRequestKind.Barrier)
            _barrier = index;
    }

    /// <summary>Begins the barrier when all that came before it is done.</summary>
    private void StartBarrier()
    {
        if (_barrier == None || _barrierBegun)
            return;
        bool isAlone = _pool.Rented - _finished.Count == 1;
        if (!isAlone || (_gate is not null && !_gate.TryClose()))
            return;

        _barrierBegun = true;
        Run(_barrier);
    }

    /// <summary>Lets later requests pass where a barrier has come to its end, whatever that is.</summary>
    private void EndBarrier(int index)
    {
        if (index != _barrier)
            return;

        _barrier = None;
        _barrierBegun = false;
        _gate?.Open();
    }
}
