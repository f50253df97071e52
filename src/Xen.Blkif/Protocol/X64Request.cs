using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Protocol;

/// <summary>A request as it lies in the ring in the x86_64 layout: 112 bytes, of which the operation says how to read them.</summary>
/// <remarks>
/// Reads, writes and flushes are laid out as here; <see cref="X64DiscardRequest"/> and <see cref="X64IndirectRequest"/> share the slot.
/// Source: <c>struct blkif_request</c> in Xen's <c>public/io/blkif.h</c>.
/// </remarks>
[StructLayout(LayoutKind.Explicit, Size = 112)]
public struct X64Request : IBlkifRequest
{
    /// <summary>The operation, any byte.</summary>
    [FieldOffset(0)] public byte Operation;

    /// <summary>Segments in use; 1 to 11 in an honest request, 0 for a flush without data.</summary>
    [FieldOffset(1)] public byte SegmentCount;

    /// <summary>The virtual device, which backends do not look at.</summary>
    [FieldOffset(2)] public ushort Handle;

    /// <summary>The guest's own name for the request, echoed in the response. Need not be unique.</summary>
    [FieldOffset(8)] public ulong Id;

    /// <summary>The first sector on the disk, in units of 512 bytes.</summary>
    [FieldOffset(16)] public ulong SectorNumber;

    /// <summary>The parts of pages to transfer, in the order of the sectors on the disk.</summary>
    [FieldOffset(24)] public BlkifSegments Segments;

    readonly byte IBlkifRequest.Operation => Operation;

    readonly byte IBlkifRequest.SegmentCount => SegmentCount;

    readonly ulong IBlkifRequest.Id => Id;

    readonly ulong IBlkifRequest.SectorNumber => SectorNumber;

    readonly ulong IBlkifRequest.DiscardSectorCount => Unsafe.As<X64Request, X64DiscardRequest>(ref Unsafe.AsRef(in this)).SectorCount;

    readonly byte IBlkifRequest.DiscardFlags => Unsafe.As<X64Request, X64DiscardRequest>(ref Unsafe.AsRef(in this)).Flags;

    readonly byte IBlkifRequest.IndirectOperation => Indirect(ref Unsafe.AsRef(in this)).IndirectOperation;

    readonly int IBlkifRequest.IndirectSegmentCount => Indirect(ref Unsafe.AsRef(in this)).SegmentCount;

    readonly unsafe GrantReference IBlkifRequest.IndirectReference => new(Indirect(ref Unsafe.AsRef(in this)).IndirectReferences[0]);

    readonly int IBlkifRequest.SegmentsOffset => 24;

    readonly BlkifSegment IBlkifRequest.Segment(int index) => Segments[index];

    void IBlkifRequest.SetTransfer(BlkifOperation operation, ulong id, ulong sectorNumber, ReadOnlySpan<BlkifSegment> segments)
    {
        this = default;
        Operation = (byte)operation;
        SegmentCount = (byte)segments.Length;
        Id = id;
        SectorNumber = sectorNumber;
        for (int i = 0; i < segments.Length; i++)
            Segments[i] = segments[i];
    }

    void IBlkifRequest.SetDiscard(ulong id, ulong sectorNumber, ulong sectorCount, byte flags)
    {
        this = default;
        ref X64DiscardRequest discard = ref Unsafe.As<X64Request, X64DiscardRequest>(ref this);
        discard.Operation = (byte)BlkifOperation.Discard;
        discard.Flags = flags;
        discard.Id = id;
        discard.SectorNumber = sectorNumber;
        discard.SectorCount = sectorCount;
    }

    unsafe void IBlkifRequest.SetIndirect(BlkifOperation operation, ulong id, ulong sectorNumber, ushort segmentCount, GrantReference page)
    {
        this = default;
        ref X64IndirectRequest indirect = ref Indirect(ref this);
        indirect.Operation = (byte)BlkifOperation.Indirect;
        indirect.IndirectOperation = (byte)operation;
        indirect.SegmentCount = segmentCount;
        indirect.Id = id;
        indirect.SectorNumber = sectorNumber;
        indirect.IndirectReferences[0] = page.Value;
    }

    private static ref X64IndirectRequest Indirect(ref X64Request slot) => ref Unsafe.As<X64Request, X64IndirectRequest>(ref slot);
}
