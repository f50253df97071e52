using System.Globalization;

namespace Xen.Blkif.Targets.Files;

/// <summary>The units in which a block device gives storage back, as sysfs says them.</summary>
/// <param name="Granularity">Bytes of a unit, a multiple of the logical sector size.</param>
/// <param name="Alignment">Bytes from the start of the device to the first unit, less than one.</param>
internal readonly record struct DeviceDiscards(int Granularity, int Alignment)
{
    /// <summary>Reads them.</summary>
    /// <param name="folder">The device's folder in sysfs, as in <c>/sys/devices/…/sda/sda1</c>; null where it is not known.</param>
    /// <param name="sectorSize">The logical sector size, which is the unit where sysfs says none that can be.</param>
    public static DeviceDiscards Read(string? folder, int sectorSize)
    {
        if (folder is null)
            return new DeviceDiscards(sectorSize, 0);

        // A partition has the queue of its disk, but an alignment of its own.
        string disk = File.Exists(Path.Combine(folder, "partition")) ? Path.GetDirectoryName(folder)! : folder;
        long granularity = ReadNumber(Path.Combine(disk, "queue", "discard_granularity"));
        if (granularity < sectorSize || granularity > int.MaxValue || granularity % sectorSize != 0)
            return new DeviceDiscards(sectorSize, 0);

        long alignment = ReadNumber(Path.Combine(folder, "discard_alignment")) % granularity;
        return new DeviceDiscards((int)granularity, alignment % sectorSize == 0 ? (int)alignment : 0);
    }

    // Kernels differ in what they have: what is not there, or no number, is 0.
    private static long ReadNumber(string path)
    {
        try
        {
            return long.TryParse(File.ReadAllText(path).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }
}
