using System.Runtime.InteropServices;

namespace Xen.Blkif.Targets.Files;

/// <summary>What an open file is where it is a block device of Linux: what the kernel says of it, and what only devices can do.</summary>
internal sealed unsafe class BlockDevice
{
    // BLKSSZGET, BLKPBSZGET, BLKDISCARD and BLKSECDISCARD of <linux/fs.h>.
    private const uint GetLogicalSize = 0x1268, GetPhysicalSize = 0x127B, DiscardRange = 0x1277, EraseRange = 0x127D;
    private const int InvalidArgument = 22, NotSupported = 95, NoSuchControl = 25;

    // Before, the kernel looked at a range before it said that it cannot erase.
    private static readonly Version ErasesApart = new(5, 19);

    private readonly SafeHandle _file;

    private BlockDevice(SafeHandle file, int logicalSectorSize)
    {
        _file = file;
        LogicalSectorSize = logicalSectorSize;
        int physical;
        PhysicalSectorSize = LibC.Control(file, GetPhysicalSize, &physical) == 0 ? Math.Max(physical, logicalSectorSize) : logicalSectorSize;
        Discards = DeviceDiscards.Read(LibC.DeviceFolder(file), logicalSectorSize);
    }

    /// <summary>The smallest transfer in bytes.</summary>
    public int LogicalSectorSize { get; }

    /// <summary>The transfer in bytes below which writes cost more.</summary>
    public int PhysicalSectorSize { get; }

    /// <summary>The units in which it gives storage back.</summary>
    public DeviceDiscards Discards { get; }

    /// <summary>Whether it gives storage back.</summary>
    public bool CanDiscard => Offers(DiscardRange);

    /// <summary>Whether it can make data unrecoverable.</summary>
    public bool CanErase => Environment.OSVersion.Version >= ErasesApart && Offers(EraseRange);

    /// <summary>The device behind a file; null where it is none.</summary>
    public static BlockDevice? Of(SafeHandle file)
    {
        int size;
        return RuntimeInformation.IsOSPlatform(OSPlatform.Linux) && LibC.Control(file, GetLogicalSize, &size) == 0 ? new BlockDevice(file, size) : null;
    }

    /// <summary>Gives a range back, or makes its data unrecoverable.</summary>
    /// <returns>False where the device cannot, and nothing was done.</returns>
    /// <exception cref="IOException">The device failed.</exception>
    public bool TryDiscard(long offset, long length, bool erase)
    {
        while (true)
        {
            int error = Control(erase ? EraseRange : DiscardRange, offset, length);
            if (error == 0)
                return true;
            if (error is NotSupported or NoSuchControl)
                return false;
            if (error != LibC.Interrupted)
                throw new IOException($"{(erase ? "BLKSECDISCARD" : "BLKDISCARD")} failed with error {error} at byte {offset}.");
        }
    }

    // Asked for a range that no device has, the kernel says first that it cannot, or else that the range is none. Nothing is done.
    private bool Offers(uint request) => Control(request, 1, 1) == InvalidArgument;

    private int Control(uint request, long offset, long length)
    {
        long* range = stackalloc long[] { offset, length };
        return LibC.Control(_file, request, range) == 0 ? 0 : Marshal.GetLastWin32Error();
    }
}
