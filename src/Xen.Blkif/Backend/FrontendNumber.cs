using System.Globalization;

namespace Xen.Blkif.Backend;

/// <summary>Numbers that a guest wrote into xenstore.</summary>
internal static class FrontendNumber
{
    /// <summary>Takes decimal digits and nothing else: no sign, no space, no hexadecimal.</summary>
    /// <param name="key">What to call it.</param>
    /// <param name="text">What the guest wrote; null where that is nothing.</param>
    /// <exception cref="FrontendException">It is no such number.</exception>
    public static uint Parse(string key, string? text)
    {
        if (text is null)
            throw new FrontendException($"the frontend wrote no {key}");
        if (!uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint number))
            throw new FrontendException($"the frontend's {key} is '{Shorten(text)}', which is not a number from 0 to 4294967295");
        return number;
    }

    /// <summary>Makes what a guest wrote fit for a log: little of it, and nothing that is not printable.</summary>
    public static string Shorten(string? text)
    {
        const int Longest = 40;
        text ??= "";
        char[] shown = text.Take(Longest).Select(c => c is >= ' ' and < '\x7f' ? c : '?').ToArray();
        return new string(shown) + (text.Length > Longest ? "…" : "");
    }
}
