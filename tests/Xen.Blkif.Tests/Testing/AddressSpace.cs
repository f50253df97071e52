using System.Globalization;

namespace Xen.Blkif.Tests.Testing;

/// <summary>What the kernel says of the addresses of this process.</summary>
internal static class AddressSpace
{
    /// <summary>The access that an address allows ("rw", "r-", "--"), or null where nothing is mapped.</summary>
    public static string? AccessAt(nint address)
    {
        foreach (var line in File.ReadLines("/proc/self/maps"))
        {
            var dash = line.IndexOf('-', StringComparison.Ordinal);
            var space = line.IndexOf(' ', StringComparison.Ordinal);
            var start = ulong.Parse(line.AsSpan(0, dash), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            var end = ulong.Parse(line.AsSpan(dash + 1, space - dash - 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            if ((ulong)address >= start && (ulong)address < end)
                return line.Substring(space + 1, 2);
        }

        return null;
    }
}
