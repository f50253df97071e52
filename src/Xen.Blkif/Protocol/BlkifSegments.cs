using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Xen.Blkif.Protocol;

/// <summary>The eleven segments that a request carries in itself; 88 bytes in every layout.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public struct BlkifSegments
{
    // Only the first is named in code; the others hold its neighbours' place.
    private BlkifSegment _first;
#pragma warning disable IDE0051, CS0169, CA1823, S1144 // read by index, as neighbours of the first
    private readonly BlkifSegment _1, _2, _3, _4, _5, _6, _7, _8, _9, _10;
#pragma warning restore IDE0051, CS0169, CA1823, S1144

    /// <summary>The segment with the number <paramref name="index"/>.</summary>
    /// <param name="index">0 to 10.</param>
    /// <exception cref="ArgumentOutOfRangeException">The index is not 0 to 10.</exception>
    public BlkifSegment this[int index]
    {
        readonly get => Unsafe.Add(ref Unsafe.AsRef(in _first), Checked(index));
        set => Unsafe.Add(ref _first, Checked(index)) = value;
    }

    private static int Checked(int index) =>
        (uint)index < BlkifLimits.MaxSegments ? index : throw new ArgumentOutOfRangeException(nameof(index), index, "A request has segments 0 to 10.");
}
