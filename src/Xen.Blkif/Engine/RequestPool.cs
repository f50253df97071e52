using System.Diagnostics;
using System.Runtime.InteropServices;
using Xen.Blkif.Memory;

namespace Xen.Blkif.Engine;

/// <summary>Slots for the requests under way, each with a private copy of what lay in the ring, all allocated before the first request.</summary>
/// <typeparam name="TRequest">The request's layout.</typeparam>
internal sealed unsafe class RequestPool<TRequest> : IDisposable
    where TRequest : unmanaged
{
    private readonly NativeBuffer _memory;
    private readonly Entry* _entries;
    private readonly RequestSlot** _lists;
    private readonly int _capacity;

    // A stack: what was used last is still in the cache.
    private SlotList _free;

    /// <param name="capacity">Slots.</param>
    /// <param name="lists">Lists that <see cref="List"/> is asked for.</param>
    public RequestPool(int capacity, int lists)
    {
        _capacity = capacity;
        _memory = new NativeBuffer(capacity * (sizeof(Entry) + ((lists + 1L) * sizeof(RequestSlot*))));
        _entries = (Entry*)_memory.Start;
        _lists = (RequestSlot**)(_entries + capacity);
        _free = List(lists);
        for (int i = capacity - 1; i >= 0; i--)
            _free.Add(Slot(i));
    }

    /// <summary>Slots in use.</summary>
    public int Rented => _capacity - _free.Count;

    public bool IsExhausted => _free.Count == 0;

    /// <summary>A slot by its number.</summary>
    public RequestSlot* Slot(int index)
    {
        Debug.Assert((uint)index < (uint)_capacity, "There is no such slot.");
        return &_entries[index].Slot;
    }

    /// <summary>The number of a slot, from 0.</summary>
    // SAFETY: every slot came from the freelist, and none lies before the first. Unsigned, for that is divided by a shift alone.
    public int IndexOf(RequestSlot* slot) => (int)((nuint)((byte*)slot - (byte*)_entries) / (nuint)sizeof(Entry));

    /// <summary>The private copy that goes with a slot.</summary>
    // SAFETY: as above, and it is the first field of an entry.
    public static TRequest* Copy(RequestSlot* slot) => &((Entry*)slot)->Copy;

    /// <summary>An empty list with room for all slots, which goes with this.</summary>
    /// <param name="number">Which of those that this was made for, from 0.</param>
    public SlotList List(int number) => new(_lists + ((long)number * _capacity));

    public RequestSlot* Rent() => _free.TakeLast();

    /// <summary>Takes a slot that is chosen by its number. Looks at all of them: not for the path of requests.</summary>
    public void RentAt(int index) => _free.Take(Slot(index));

    public void Return(RequestSlot* slot) => _free.Add(slot);

    public void Dispose() => _memory.Dispose();

    // A power of two, by which an address is quickly divided.
    [StructLayout(LayoutKind.Sequential, Size = 256)]
    private struct Entry
    {
        public RequestSlot Slot;
        public TRequest Copy;
    }
}
