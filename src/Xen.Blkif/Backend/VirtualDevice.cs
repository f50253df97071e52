namespace Xen.Blkif.Backend;

/// <summary>Which of a guest's virtual disks: a name such as <c>xvda</c>, and the number that the guest derives its own name from.</summary>
/// <remarks>Source of the numbers: Xen's <c>docs/man/xen-vbd-interface.7</c>.</remarks>
public readonly record struct VirtualDevice
{
    private const int XvdMajor = 202, SdMajor = 8, ExtendedXvd = 1 << 28;
    private const int MaxExtendedDisk = (1 << 20) - 1;

    private VirtualDevice(string name, int number)
    {
        Name = name;
        Number = number;
    }

    /// <summary>The name, as it was given.</summary>
    public string Name { get; }

    /// <summary>The number, which is the last part of the device's xenstore paths.</summary>
    public int Number { get; }

    /// <summary>Reads a name as <c>xl</c> takes it.</summary>
    /// <param name="name"><c>xvda</c>, <c>xvda1</c>, <c>xvdaa</c>, <c>hda</c> to <c>hdd</c>, <c>sda</c> to <c>sdp</c>, <c>d0</c>, <c>d1p2</c>, or a number.</param>
    /// <exception cref="FormatException">The name is none of these.</exception>
    public static VirtualDevice Parse(string name) => TryParse(name, out VirtualDevice device)
        ? device
        : throw new FormatException($"'{name}' names no virtual disk: use a name such as xvda, xvda1, hda, sda or d0p1, or a device number.");

    /// <summary>Reads a name as <c>xl</c> takes it.</summary>
    /// <param name="name">See <see cref="Parse"/>.</param>
    /// <param name="device">The device.</param>
    /// <returns>False where the name is none.</returns>
    public static bool TryParse(string? name, out VirtualDevice device)
    {
        device = default;
        if (name is null)
            return false;

        int number = -1;
        if (TryReadNumber(name, 0, out int given) && given > 0)
            number = given;
        else if (TryReadLetters(name, "xvd", out int disk, out int partition))
            number = Xvd(disk, partition);
        else if (TryReadLetters(name, "sd", out disk, out partition))
            number = disk < 16 && partition < 16 ? (SdMajor << 8) | (disk << 4) | partition : -1;
        else if (TryReadLetters(name, "hd", out disk, out partition))
            number = disk < 4 && partition < 64 ? ((disk < 2 ? 3 : 22) << 8) | ((disk & 1) << 6) | partition : -1;
        else if (TryReadDiskAndPartition(name, out disk, out partition))
            number = Xvd(disk, partition);

        if (number < 0)
            return false;
        device = new VirtualDevice(name, number);
        return true;
    }

    /// <summary>The name.</summary>
    public override string ToString() => Name;

    private static int Xvd(int disk, int partition)
    {
        if (disk < 16 && partition < 16)
            return (XvdMajor << 8) | (disk << 4) | partition;
        return disk <= MaxExtendedDisk && partition < 256 ? ExtendedXvd | (disk << 8) | partition : -1;
    }

    // "a" is 0, "z" is 25, "aa" is 26: a number in base 26 without a zero.
    private static bool TryReadLetters(string name, string prefix, out int disk, out int partition)
    {
        disk = partition = 0;
        if (!name.StartsWith(prefix, StringComparison.Ordinal))
            return false;

        int at = prefix.Length;
        int letters = 0;
        while (at < name.Length && name[at] is >= 'a' and <= 'z' && disk <= MaxExtendedDisk)
        {
            disk = (disk * 26) + (name[at++] - 'a') + 1;
            letters++;
        }

        disk--;
        return letters > 0 && (at == name.Length || (TryReadNumber(name, at, out partition) && partition > 0));
    }

    private static bool TryReadDiskAndPartition(string name, out int disk, out int partition)
    {
        disk = partition = 0;
        if (name.Length < 2 || name[0] != 'd')
            return false;
        int p = name.IndexOf('p');
        if (p < 0)
            return TryReadNumber(name, 1, out disk);
        return TryReadNumber(name, 1, p, out disk) && TryReadNumber(name, p + 1, out partition);
    }

    private static bool TryReadNumber(string text, int start, out int number) => TryReadNumber(text, start, text.Length, out number);

    // Decimal digits and nothing else.
    private static bool TryReadNumber(string text, int start, int end, out int number)
    {
        long value = 0;
        int at = start;
        while (at < end && text[at] is >= '0' and <= '9' && value <= int.MaxValue)
            value = (value * 10) + (text[at++] - '0');

        number = (int)value;
        return at > start && at == end && value <= int.MaxValue;
    }
}
