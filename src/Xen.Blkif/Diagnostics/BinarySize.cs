namespace Xen.Blkif.Diagnostics;

/// <summary>Sizes as people say them: <c>2 GiB</c>.</summary>
internal static class BinarySize
{
    private static readonly string[] Units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

    /// <summary>A size in the largest unit of which it has one, with two digits after the point at most.</summary>
    public static string Format(long bytes)
    {
        double value = bytes;
        int unit = 0;
        while (value >= 1024)
        {
            value /= 1024;
            unit++;
        }

        return FormattableString.Invariant($"{value:0.##} {Units[unit]}");
    }
}
