using System.Runtime.InteropServices;

namespace Xen.Blkif.Protocol;

/// <summary>An indirect request as it lies in a slot in the x86_64 layout.</summary>
/// <remarks>Source: <c>struct blkif_request_indirect</c> in Xen's <c>public/io/blkif.h</c>.</remarks>
[StructLayout(LayoutKind.Explicit, Size = 64)]
public unsafe struct X64IndirectRequest
{
    /// <summary><see cref="BlkifOperation.Indirect"/>.</summary>
    [FieldOffset(0)] public byte Operation;

    /// <summary>What is meant: <see cref="BlkifOperation.Read"/> or <see cref="BlkifOperation.Write"/>; echoed in the response.</summary>
    [FieldOffset(1)] public byte IndirectOperation;

    /// <summary>Segments in the pages.</summary>
    [FieldOffset(2)] public ushort SegmentCount;

    /// <summary>The guest's own name for the request.</summary>
    [FieldOffset(8)] public ulong Id;

    /// <summary>The first sector on the disk, in units of 512 bytes.</summary>
    [FieldOffset(16)] public ulong SectorNumber;

    /// <summary>The virtual device, which backends do not look at.</summary>
    [FieldOffset(24)] public ushort Handle;

    /// <summary>The grants of the pages that hold the segments, 512 in each.</summary>
    [FieldOffset(28)] public fixed uint IndirectReferences[BlkifLimits.MaxIndirectPages];
}
