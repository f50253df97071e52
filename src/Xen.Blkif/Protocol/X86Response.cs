using System.Runtime.InteropServices;

namespace Xen.Blkif.Protocol;

/// <summary>A response as it lies in the ring in the x86_32 layout: 12 bytes.</summary>
/// <remarks>
/// The padding is written with the fields around it, as zero, and never carries bytes of this process to a guest (XSA-216).
/// Source: <c>struct blkif_response</c> in Xen's <c>public/io/blkif.h</c>, compiled for 32-bit x86.
/// </remarks>
[StructLayout(LayoutKind.Explicit, Size = 12, Pack = 4)]
public struct X86Response : IBlkifResponse
{
    // Of the operation at byte 8 and the status at byte 10, little-endian.
    private const int StatusShift = 16;

    /// <summary>The request's own <c>id</c>.</summary>
    [FieldOffset(0)] public ulong Id;

    /// <summary>The request's own operation; of an indirect request the one that it meant.</summary>
    [FieldOffset(8)] public byte Operation;

    /// <summary>How it went.</summary>
    [FieldOffset(10)] public BlkifStatus Status;

    // All bytes behind the id, padding included: written with one store.
    [FieldOffset(8)] private uint _rest;

    readonly ulong IBlkifResponse.Id => Id;

    readonly byte IBlkifResponse.Operation => Operation;

    readonly BlkifStatus IBlkifResponse.Status => Status;

    void IBlkifResponse.Fill(ulong id, byte operation, BlkifStatus status)
    {
        Id = id;
        _rest = operation | ((uint)(ushort)status << StatusShift);
    }
}
