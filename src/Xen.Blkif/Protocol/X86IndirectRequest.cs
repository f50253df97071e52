using System.Runtime.InteropServices;

namespace Xen.Blkif.Protocol;

/// <summary>An indirect request as it lies in a slot in the x86_32 layout.</summary>
/// <remarks>Source: <c>struct blkif_request_indirect</c> in Xen's <c>public/io/blkif.h</c>, compiled for 32-bit x86.</remarks>
[StructLayout(LayoutKind.Explicit, Size = 64, Pack = 4)]
public unsafe struct X86IndirectRequest
{
    /// <summary><see cref="BlkifOperation.Indirect"/>.</summary>
    [FieldOffset(0)] public byte Operation;

    /// <summary>What is meant: <see cref="BlkifOperation.Read"/> or <see cref="BlkifOperation.Write"/>; echoed in the response.</summary>
    [FieldOffset(1)] public byte IndirectOperation;

    /// <summary>Segments in the pages.</summary>
    [FieldOffset(2)] public ushort SegmentCount;

    /// <summary>The guest's own name for the request.</summary>
    [FieldOffset(4)] public ulong Id;

    /// <summary>The first sector on the disk, in units of 512 bytes.</summary>
    [FieldOffset(12)] public ulong SectorNumber;

    /// <summary>The virtual device, which backends do not look at.</summary>
    [FieldOffset(20)] public ushort Handle;

    /// <summary>The grants of the pages that hold the segments, 512 in each.</summary>
    [FieldOffset(24)] public fixed uint IndirectReferences[BlkifLimits.MaxIndirectPages];
}
