using System.Globalization;

namespace Xen.Blkif.Samples;

/// <summary>Sizes as people write them: 4096, 4k, 64M, 2G.</summary>
internal static class ByteSize
{
    public static bool TryParse(string text, out long bytes)
    {
        int shift = text.Length == 0 ? 0 : char.ToUpperInvariant(text[^1]) switch
        {
            'K' => 10,
            'M' => 20,
            'G' => 30,
            'T' => 40,
            _ => 0,
        };
        string digits = shift == 0 ? text : text[..^1];
        bytes = 0;
        if (!long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long number) || number > long.MaxValue >> shift)
            return false;
        bytes = number << shift;
        return true;
    }
}
