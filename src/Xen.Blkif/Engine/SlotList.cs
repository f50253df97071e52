using System.Diagnostics;

namespace Xen.Blkif.Engine;

/// <summary>Slots in the order in which they were added, in memory that has room for all slots.</summary>
/// <param name="room">The memory.</param>
internal unsafe struct SlotList(RequestSlot** room)
{
    // SAFETY: nobody adds a slot that is in the list, so that there is always room.
    private readonly RequestSlot** _room = room;

    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    /// <summary>One of them.</summary>
    /// <param name="at">From 0.</param>
    public readonly RequestSlot* this[int at]
    {
        get
        {
            Debug.Assert((uint)at < (uint)Count, "There are no more.");
            return _room[at];
        }
    }

    /// <summary>Adds a slot.</summary>
    public void Add(RequestSlot* slot)
    {
        Debug.Assert(IndexOf(slot) < 0, "A slot is in a list once.");
        _room[Count++] = slot;
    }

    /// <summary>Takes the last one away.</summary>
    public RequestSlot* TakeLast()
    {
        Debug.Assert(Count > 0, "Ask for the count first.");
        return _room[--Count];
    }

    /// <summary>Takes a slot away, wherever it is, and puts the last in its place. Looks at all of them: not for the path of requests.</summary>
    public void Take(RequestSlot* slot)
    {
        int at = IndexOf(slot);
        Debug.Assert(at >= 0, "Only what is there is taken.");
        _room[at] = _room[--Count];
    }

    /// <summary>Takes all away.</summary>
    public void Clear() => Count = 0;

    // Negative where it is not there.
    private readonly int IndexOf(RequestSlot* slot)
    {
        int at = Count - 1;
        while (at >= 0 && _room[at] != slot)
            at--;
        return at;
    }
}
