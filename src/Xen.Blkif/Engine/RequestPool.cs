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
    private readonly int* _lists;
    private readonly int _capacity;

    // A stack: what was used last is still in the cache.
    private SlotList _free;

    /// <param name="capacity">Slots.</param>
    /// <param name="lists">Lists that <see cref="List"/> is asked for.</param>
    public RequestPool(int capacity, int lists)
    {
        _capacity = capacity;
        _copyMemory = new NativeBuffer((long)capacity * sizeof(TRequest));
        _slotMemory = new NativeBuffer(capacity * (sizeof(RequestSlot) + ((lists + 1L) * sizeof(int))));
        _copies = (TRequest*)_copyMemory.Start;
        _slots = (RequestSlot*)_slotMemory.Start;
        _lists = (int*)(_slots + capacity);
        _free = List(lists);
        for (int i = capacity - 1; i >= 0; i--)
            _free.Add(i);
    }

    /// <summary>Slots in use.</summary>
    public int Rented => _capacity - _free.Count;

    public bool IsExhausted => _free.Count == 0;

    // SAFETY: every index came from the freelist, which holds each number below the capacity once.
    public RequestSlot* Slot(int index) => _slots + index;

    public TRequest* Copy(int index) => _copies + index;

    /// <summary>An empty list with room for all slots, which goes with this.</summary>
    /// <param name="number">Which of those that this was made for, from 0.</param>
    public SlotList List(int number) => new(_lists + ((long)number * _capacity));

    public int Rent() => _free.TakeLast();

    /// <summary>Takes a slot that is chosen by its number. Looks at all of them: not for the path of requests.</summary>
    public void RentAt(int index) => _free.Take(index);

    public void Return(int index) => _free.Add(index);

    public void Dispose()
    {
        _slotMemory.Dispose();
        _copyMemory.Dispose();
    }
}
