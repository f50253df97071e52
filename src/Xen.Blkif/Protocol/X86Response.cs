using System.Runtime.InteropServices;

namespace Xen.Blkif.Protocol;

/// <summary>A response as it lies in the ring in the x86_32 layout: 12 bytes.</summary>
/// <remarks>
/// The padding is a field of its own, so that it is written as zero and never carries bytes of this process to a guest (XSA-216).
/// Source: <c>struct blkif_response</c> in Xen's <c>public/io/blkif.h</c>, compiled for 32-bit x86.
/// </remarks>
[StructLayout(LayoutKind.Explicit, Size = 12, Pack = 4)]
public struct X86Response : IBlkifResponse
{
    /// <summary>The request's own <c>id</c>.</summary>
    [FieldOffset(0)] public ulong Id;

    /// <summary>The request's own operation; of an indirect request the one that it meant.</summary>
    [FieldOffset(8)] public byte Operation;

    [FieldOffset(9)] private byte _padding9;

    /// <summary>How it went.</summary>
    [FieldOffset(10)] public BlkifStatus Status;

    readonly ulong IBlkifResponse.Id => Id;

    readonly byte IBlkifResponse.Operation => Operation;

    readonly BlkifStatus IBlkifResponse.Status => Status;

    void IBlkifResponse.Fill(ulong id, byte operation, BlkifStatus status)
    {
        Id = id;
        Operation = operation;
        _padding9 = 0;
        Status = status;
    }
}
