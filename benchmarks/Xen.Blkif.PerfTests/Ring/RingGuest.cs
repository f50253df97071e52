using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Rings;

namespace Xen.Blkif.PerfTests.Ring;

/// <summary>A guest that is nothing but its ring and a page for the segments of indirect requests. A page's number is its grant reference.</summary>
internal sealed unsafe class RingGuest : IDisposable
{
    /// <summary>The size of the disk, in units of 512 bytes.</summary>
    public const ulong Sectors = 1 << 20;

    /// <summary>The segments of an indirect request, at most.</summary>
    public const int MaxIndirectSegments = 32;

    /// <summary>The pages that there are. Those with greater numbers, for data, are only spoken of.</summary>
    public const int Pages = SegmentPage + 1;

    // Large enough for a batch of 32 beside the slots of the next ones, small enough for the processor's first cache.
    private const int PageOrder = 2;
    private const int SegmentPage = 1 << PageOrder;

    private readonly byte* _memory;

    /// <param name="protocol">The layout of the ring.</param>
    public RingGuest(BlkifProtocol protocol)
    {
        Protocol = protocol;
        nuint length = Pages * XenPage.Size;
        _memory = (byte*)NativeMemory.AlignedAlloc(length, XenPage.Size);
        NativeMemory.Clear(_memory, length);
        new SharedHeader(_memory).Initialise();
    }

    public BlkifProtocol Protocol { get; }

    /// <summary>Whether its disk may not be written.</summary>
    public bool HasReadOnlyDisk { get; init; }

    /// <summary>The first byte, of the ring too.</summary>
    public nint Address => (nint)_memory;

    /// <summary>Bytes of the ring.</summary>
    public int RingLength => XenPage.Size << PageOrder;

    /// <summary>Bytes from one slot to the next.</summary>
    public int Stride => Protocol == BlkifProtocol.X86 ? RingSize.Stride<X86Request, X86Response>() : RingSize.Stride<X64Request, X64Response>();

    /// <summary>The bytes of a slot.</summary>
    /// <param name="slot">Its index, of the ring or free-running.</param>
    public Span<byte> Slot(uint slot) => new(_memory + RingSize.HeaderLength + ((slot & (Slots - 1)) * Stride), Stride);

    /// <summary>The slots of the ring.</summary>
    public uint Slots => Protocol == BlkifProtocol.X86 ? RingSize.Slots<X86Request, X86Response>(PageOrder) : RingSize.Slots<X64Request, X64Response>(PageOrder);

    /// <summary>The indices and the slots.</summary>
    public ReadOnlySpan<byte> RingBytes => new(_memory, RingLength);

    /// <summary>The segments of an indirect request, which all of them share.</summary>
    public Span<BlkifSegment> Segments => new(_memory + (SegmentPage * XenPage.Size), BlkifLimits.SegmentsPerIndirectPage);

    /// <summary>Announces requests.</summary>
    /// <param name="end">The index behind the last one.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Announce(uint end) => Volatile.Write(ref *(uint*)_memory, end);

    /// <summary>The index behind the last request that was announced.</summary>
    public uint Announced => *(uint*)_memory;

    /// <summary>Puts the same read into every slot.</summary>
    /// <param name="segments">Its pages; more than eleven make it indirect.</param>
    public void FillWithReads(int segments)
    {
        var pages = new BlkifSegment[segments];
        for (int i = 0; i < segments; i++)
            pages[i] = new BlkifSegment(new GrantReference((uint)(Pages + i)), 0, BlkifLimits.SectorsPerPage - 1);
        pages.CopyTo(Segments);
        if (Protocol == BlkifProtocol.X86)
            Fill<X86Request>(pages);
        else
            Fill<X64Request>(pages);
    }

    public void Dispose() => NativeMemory.AlignedFree(_memory);

    private void Fill<TRequest>(BlkifSegment[] segments)
        where TRequest : unmanaged, IBlkifRequest
    {
        const ulong Id = 7, Sector = 64;
        TRequest request = default;
        if (segments.Length > BlkifLimits.MaxSegments)
            request.SetIndirect(BlkifOperation.Read, Id, Sector, (ushort)segments.Length, new GrantReference(SegmentPage));
        else
            request.SetTransfer(BlkifOperation.Read, Id, Sector, segments);
        for (uint slot = 0; slot < Slots; slot++)
            MemoryMarshal.Write(Slot(slot), request);
    }

    // SHARED_RING_INIT: req_prod, req_event, rsp_prod, rsp_event.
    private readonly struct SharedHeader(byte* ring)
    {
        public void Initialise() => new ReadOnlySpan<uint>([0, 1, 0, 1]).CopyTo(new Span<uint>(ring, 4));
    }
}
