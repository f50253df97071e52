using Xen.Blkif.IoUring.Kernel;
using Xen.Blkif.Targets;
using Xen.Blkif.Targets.Files;

namespace Xen.Blkif.IoUring.Queues;

/// <content>What becomes of results.</content>
internal sealed partial class RingQueue
{
    // "Ask again" is said while memory is short, or a signal came. A request for which it is said again and again has failed.
    private const int MostRetries = 100;

    /// <inheritdoc/>
    public bool HasResults => _arrivedCount > 0 || _signals.HasCome || _ring.HasResults || _ring.HoldsResultsBack;

    /// <inheritdoc/>
    public void Reap()
    {
        if (_ring.HoldsResultsBack)
            _ = _ring.Enter(0, 0, 0);
        Bring();
        _signals.Forget();
        if (_ring.Pending > 0 && !_plugged)
            Start();
    }

    private void Bring()
    {
        Drain();
        for (int i = 0; i < _arrivedCount; i++)
            _completions.Complete(_arrived[i], _slots[_arrived[i]].Status);
        _arrivedCount = 0;
    }

    private void Drain()
    {
        while (_ring.TryTake(out CompletionEntry result))
        {
            int index = (int)(uint)result.Name;
            uint generation = (uint)(result.Name >> 32);
            if ((uint)index >= (uint)_slots.Length)
                _signals.Take(index - _slots.Length, generation, result.Result);
            else if (IsUnderWay(index, generation))
                Advance(index, ref _slots[index], result.Result);
        }
    }

    private void Advance(int index, ref RingSlot slot, int result)
    {
        if (result < 0)
        {
            Refused(index, ref slot, -result);
            return;
        }

        long left = slot.Left;
        if (result > left)
            Fail(index, ref slot, $"the kernel says that it transferred {result} bytes of {left}.");
        else if (slot.Io.Kind == BlockIoKind.Flush && _io.HasLostWrites)
            Fail(index, ref slot, FileIo.AnotherFlushFailed);
        else if (result == left)
            Arrive(index, ref slot, BlockStatus.Okay);
        else if (result == 0)
            Fail(index, ref slot, $"the file ends before byte {slot.Io.Offset + slot.Done}: it was cut short after it was opened.");
        else
            Continue(index, ref slot, result);
    }

    private void Continue(int index, ref RingSlot slot, int result)
    {
        slot.Done += result;
        slot.Retries = 0;
        Put(index, ref slot);
    }

    private void Refused(int index, ref RingSlot slot, int error)
    {
        if (error is Interop.InterruptedError or Interop.AgainError && ++slot.Retries <= MostRetries)
            Put(index, ref slot);
        else if (slot.Io.Kind == BlockIoKind.Discard && error is Interop.NotSupportedError or Interop.NoSystemCallError or Interop.NoDeviceError)
            Arrive(index, ref slot, BlockStatus.NotSupported);
        else
            Fail(index, ref slot, $"io_uring failed with error {error}.");
    }

    private void Fail(int index, ref RingSlot slot, string reason)
    {
        _io.Failed(slot.Io, reason);
        Arrive(index, ref slot, BlockStatus.Error);
    }

    private void Arrive(int index, ref RingSlot slot, BlockStatus status)
    {
        slot.UnderWay = false;
        _underWay--;
        slot.Status = status;
        _arrived[_arrivedCount++] = index;
    }
}
