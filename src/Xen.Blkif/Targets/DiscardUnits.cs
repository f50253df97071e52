namespace Xen.Blkif.Targets;

/// <summary>The units of which discards are made: whole ones, never parts, so that nothing beside a guest's range is lost.</summary>
/// <param name="granularity">Bytes of a unit.</param>
/// <param name="alignment">Bytes from the start of the disk to the first unit.</param>
internal readonly struct DiscardUnits(long granularity, long alignment)
{
    /// <summary>The longest whole number of units that is not longer than this; less than a unit stays what it is.</summary>
    /// <param name="length">Bytes.</param>
    public long WholeUnits(long length) => length < granularity ? length : length / granularity * granularity;

    /// <summary>The units that lie inside a range.</summary>
    /// <param name="offset">The first byte of the range.</param>
    /// <param name="length">Bytes of the range.</param>
    /// <param name="first">The first byte of the first unit.</param>
    /// <returns>Bytes of all of them together; 0 where there is none.</returns>
    public long Inside(long offset, long length, out long first)
    {
        // Counted from one unit before the disk, so that nothing here is negative.
        long origin = granularity - alignment;
        first = ((offset + origin + granularity - 1) / granularity * granularity) - origin;
        long end = ((offset + length + origin) / granularity * granularity) - origin;
        return Math.Max(end - first, 0);
    }
}
