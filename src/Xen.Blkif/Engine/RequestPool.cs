using System.Diagnostics;
using Xen.Blkif.Memory;

namespace Xen.Blkif.Engine;

/// <summary>Slots for the requests under way and private copies of what lay in the ring, all allocated before the first request.</summary>
/// <typeparam name="TRequest">The request's layout.</typeparam>
internal sealed unsafe class RequestPool<TRequest> : IDisposable
    where TRequest : unmanaged
{
    private readonly NativeBuffer _copyMemory;
    private readonly NativeBuffer _slotMemory;
    private readonly TRequest* _copies;
    private readonly RequestSlot* _slots;

    // A stack: what was used last is still in the cache.
    private readonly int[] _free;
    private int _freeCount;

    public RequestPool(int capacity)
    {
        _copyMemory = new NativeBuffer((long)capacity * sizeof(TRequest));
        _slotMemory = new NativeBuffer((long)capacity * sizeof(RequestSlot));
        _copies = (TRequest*)_copyMemory.Start;
        _slots = (RequestSlot*)_slotMemory.Start;
        _free = new int[capacity];
        for (int i = 0; i < capacity; i++)
            _free[i] = capacity - 1 - i;
        _freeCount = capacity;
    }

    /// <summary>Slots in use.</summary>
    public int Rented => _free.Length - _freeCount;

    public bool IsExhausted => _freeCount == 0;

    // SAFETY: every index came from the freelist, which holds each number below the capacity once.
    public RequestSlot* Slot(int index) => _slots + index;

    public TRequest* Copy(int index) => _copies + index;

    public int Rent()
    {
        Debug.Assert(_freeCount > 0, "Ask IsExhausted first.");
        return _free[--_freeCount];
    }

    /// <summary>Takes a slot that is chosen by its number. Looks at all of them: not for the path of requests.</summary>
    public void RentAt(int index)
    {
        int at = Array.IndexOf(_free, index, 0, _freeCount);
        Debug.Assert(at >= 0, "A slot is taken once.");
        _free[at] = _free[--_freeCount];
    }

    public void Return(int index)
    {
        Debug.Assert(Array.IndexOf(_free, index, 0, _freeCount) < 0, "A slot is returned once.");
        _free[_freeCount++] = index;
    }

    public void Dispose()
    {
        _slotMemory.Dispose();
        _copyMemory.Dispose();
    }
}
