using System.Runtime.CompilerServices;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Rings;

/// <summary>The memory of a ring that two domains share: the only type that reads or writes it.</summary>
/// <typeparam name="TRequest">The request as it lies in the ring.</typeparam>
/// <typeparam name="TResponse">The response as it lies in the ring.</typeparam>
/// <remarks>
/// Layout (<c>DEFINE_RING_TYPES</c> in Xen's <c>public/io/ring.h</c>): four free-running 32-bit indices, padding up to byte 64, then the slots.
/// The other domain may write any byte at any time; every read here happens once, into a copy.
/// </remarks>
internal readonly unsafe struct SharedRing<TRequest, TResponse>
    where TRequest : unmanaged
    where TResponse : unmanaged
{
    private const int RequestProducer = 0;
    private const int RequestEvent = 4;
    private const int ResponseProducer = 8;
    private const int ResponseEvent = 12;

    // Pointers rather than spans: the memory is mapped, not managed, and a slot access is on the path of every request.
    private readonly byte* _header;
    private readonly byte* _slots;
    private readonly uint _mask;

    /// <summary>Looks at memory as a ring.</summary>
    /// <param name="address">The first byte; page-aligned; mapped for as long as this is used.</param>
    /// <param name="length">Bytes: 4096 shifted by the page order.</param>
    public SharedRing(nint address, int length)
    {
        if (address == 0 || address % XenPage.Size != 0)
            throw new ArgumentException($"A ring starts at the start of a page, not at 0x{(ulong)address:x}.", nameof(address));
        if (length < XenPage.Size || length > XenPage.Size << RingSize.MaxPageOrder || (length & (length - 1)) != 0)
            throw new ArgumentOutOfRangeException(nameof(length), length, "A ring has 1, 2, 4, 8 or 16 pages of 4096 bytes.");

        _header = (byte*)address;
        _slots = _header + RingSize.HeaderLength;
        _mask = RingSize.SlotsIn(length, RingSize.Stride<TRequest, TResponse>()) - 1;
    }

    public uint Slots => _mask + 1;

    // Acquire: a slot is read only after the index that announced it. Pairs with the write barrier in the peer's RING_PUSH.
    public uint ReadRequestProducer() => Volatile.Read(ref Index(RequestProducer));

    public uint ReadResponseProducer() => Volatile.Read(ref Index(ResponseProducer));

    // Release: the slots written before become visible before the index that covers them. Pairs with the peer's read barrier.
    public void PublishRequestProducer(uint value) => Volatile.Write(ref Index(RequestProducer), value);

    public void PublishResponseProducer(uint value) => Volatile.Write(ref Index(ResponseProducer), value);

    // The event indices are hints: what orders them is the full fence of the caller, between its store and its load.
    public uint ReadRequestEvent() => Volatile.Read(ref Index(RequestEvent));

    public uint ReadResponseEvent() => Volatile.Read(ref Index(ResponseEvent));

    public void WriteRequestEvent(uint value) => Volatile.Write(ref Index(RequestEvent), value);

    public void WriteResponseEvent(uint value) => Volatile.Write(ref Index(ResponseEvent), value);

    /// <summary>Copies a slot out. What the caller gets is its own; the slot itself is never looked at again.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void CopySlotTo<T>(uint index, out T copy)
        where T : unmanaged =>
        copy = Unsafe.ReadUnaligned<T>(Slot(index));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteSlot<T>(uint index, in T value)
        where T : unmanaged =>
        Unsafe.WriteUnaligned(Slot(index), value);

    /// <summary>Where a slot's content is to be written, by parts. It is not to be read there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref T SlotToWrite<T>(uint index)
        where T : unmanaged => ref *(T*)Slot(index);

    /// <summary>Makes an empty ring of the memory, as the frontend does before it shares it (<c>SHARED_RING_INIT</c>).</summary>
    public void Initialise()
    {
        Unsafe.InitBlockUnaligned(_header, 0, RingSize.HeaderLength);
        WriteRequestEvent(1);
        WriteResponseEvent(1);
    }

    // SAFETY: the mask keeps every index, however wrong, inside the slots that the constructor found room for.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private byte* Slot(uint index) => _slots + (nint)((index & _mask) * (uint)RingSize.Stride<TRequest, TResponse>());

    // SAFETY: the four offsets lie in the header, which the constructor found room for.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref uint Index(int offset) => ref *(uint*)(_header + offset);
}
