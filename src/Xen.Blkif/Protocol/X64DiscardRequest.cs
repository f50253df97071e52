using System.Runtime.InteropServices;

namespace Xen.Blkif.Protocol;

/// <summary>A discard as it lies in a slot in the x86_64 layout.</summary>
/// <remarks>Source: <c>struct blkif_request_discard</c> in Xen's <c>public/io/blkif.h</c>.</remarks>
[StructLayout(LayoutKind.Explicit, Size = 32)]
public struct X64DiscardRequest
{
    /// <summary><see cref="BlkifOperation.Discard"/>.</summary>
    [FieldOffset(0)] public byte Operation;

    /// <summary><see cref="BlkifLimits.SecureDiscard"/> or 0.</summary>
    [FieldOffset(1)] public byte Flags;

    /// <summary>The virtual device, which backends do not look at.</summary>
    [FieldOffset(2)] public ushort Handle;

    /// <summary>The guest's own name for the request.</summary>
    [FieldOffset(8)] public ulong Id;

    /// <summary>The first sector to discard, in units of 512 bytes.</summary>
    [FieldOffset(16)] public ulong SectorNumber;

    /// <summary>Sectors to discard, in units of 512 bytes.</summary>
    [FieldOffset(24)] public ulong SectorCount;
}
