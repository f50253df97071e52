using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Protocol;

/// <summary>Part of one granted page: sectors <see cref="FirstSector"/> to <see cref="LastSector"/> of it, both included.</summary>
/// <remarks>8 bytes in every layout. Source: <c>struct blkif_request_segment</c> in Xen's <c>public/io/blkif.h</c>.</remarks>
[StructLayout(LayoutKind.Explicit, Size = Length)]
public readonly record struct BlkifSegment
{
    internal const int Length = 8;

    [FieldOffset(0)] private readonly uint _reference;
    [FieldOffset(4)] private readonly byte _firstSector;
    [FieldOffset(5)] private readonly byte _lastSector;
    [FieldOffset(6)] private readonly ushort _padding;

    /// <summary>Names part of a page.</summary>
    /// <param name="reference">The grant of the page.</param>
    /// <param name="firstSector">The first sector in the page; 0 to 7 in an honest request.</param>
    /// <param name="lastSector">The last sector in the page; not before the first, and at most 7, in an honest request.</param>
    public BlkifSegment(GrantReference reference, byte firstSector, byte lastSector)
    {
        _reference = reference.Value;
        _firstSector = firstSector;
        _lastSector = lastSector;
        _padding = 0;
    }

    /// <summary>The grant of the page.</summary>
    public GrantReference Reference => new(_reference);

    /// <summary>The first sector in the page.</summary>
    public byte FirstSector => _firstSector;

    /// <summary>The last sector in the page.</summary>
    public byte LastSector => _lastSector;
}
