namespace Xen.Blkif.PerfTests;

/// <summary>The middle of a few measurements.</summary>
internal static class Median
{
    /// <summary>The middle one, or the mean of the two in the middle; 0 of none.</summary>
    public static double Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length == 0 ? 0 : (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
