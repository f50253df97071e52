using System.Runtime.InteropServices;

namespace Xen.Blkif.Protocol;

/// <summary>A discard as it lies in a slot in the x86_32 layout.</summary>
/// <remarks>Source: <c>struct blkif_request_discard</c> in Xen's <c>public/io/blkif.h</c>, compiled for 32-bit x86.</remarks>
[StructLayout(LayoutKind.Explicit, Size = 28, Pack = 4)]
public struct X86DiscardRequest
{
    /// <summary><see cref="BlkifOperation.Discard"/>.</summary>
    [FieldOffset(0)] public byte Operation;

    /// <summary><see cref="BlkifLimits.SecureDiscard"/> or 0.</summary>
    [FieldOffset(1)] public byte Flags;

    /// <summary>The virtual device, which backends do not look at.</summary>
    [FieldOffset(2)] public ushort Handle;

    /// <summary>The guest's own name for the request.</summary>
    [FieldOffset(4)] public ulong Id;

    /// <summary>The first sector to discard, in units of 512 bytes.</summary>
    [FieldOffset(12)] public ulong SectorNumber;

    /// <summary>Sectors to discard, in units of 512 bytes.</summary>
    [FieldOffset(20)] public ulong SectorCount;
}
