using Xen.Blkif.Hypervisor;
using Xen.Blkif.Memory;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Engine;

/// <summary>Room for the data of every slot, as long as that has no more segments than a slot of the ring can name.</summary>
/// <remarks>Address space for the worst case; its pages are used as requests need them, and given back when the queue is idle.</remarks>
internal sealed unsafe class SlotMemory : IDisposable
{
    private const int SlotLength = BlkifLimits.MaxSegments * XenPage.Size;

    // Later than any time.
    private const long Never = long.MaxValue;

    private readonly NativeBuffer _memory;
    private readonly long _keptLength;

    // When a slot's room was last in use; never, where none was since the pages were given back.
    private long _lastUsed = Never;

    /// <param name="make">Makes memory of so many bytes.</param>
    /// <param name="slots">Requests that can be under way at once.</param>
    /// <param name="keptPages">Pages that stay, however long nobody uses them.</param>
    public SlotMemory(Func<long, NativeBuffer> make, int slots, int keptPages)
    {
        _memory = make((long)slots * SlotLength);
        _keptLength = Math.Min((long)keptPages * XenPage.Size, _memory.Length);
    }

    /// <summary>Pages that stay.</summary>
    public int KeptPages => (int)(_keptLength / XenPage.Size);

    /// <summary>The first byte of a slot's room. It holds anything.</summary>
    /// <param name="index">The slot.</param>
    public byte* Of(int index) => _memory.Start + ((long)index * SlotLength);

    /// <summary>Says that a slot's room is in use.</summary>
    /// <param name="now">The time.</param>
    public void NoteUse(long now) => _lastUsed = now;

    /// <summary>Gives pages back if no slot's room was used for <see cref="Idleness.Ticks"/>. To be called when no request is under way.</summary>
    /// <param name="now">The time.</param>
    public void Tidy(long now)
    {
        if (now - _lastUsed >= Idleness.Ticks)
            GiveBack();
    }

    /// <summary>How long it is until <see cref="Tidy"/> has something to do, in ticks of the clock; <see cref="long.MaxValue"/> for never.</summary>
    /// <param name="now">The time.</param>
    public long TimeUntilUntidy(long now) =>
        _lastUsed != Never && _keptLength < _memory.Length ? Math.Max(0, Idleness.Ticks - (now - _lastUsed)) : long.MaxValue;

    public void Dispose() => _memory.Dispose();

    private void GiveBack()
    {
        _memory.ReleasePages(_keptLength);
        _lastUsed = Never;
    }
}
