using System.Runtime.InteropServices;
using Xen.Blkif.Memory;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Targets.Files;

/// <content>Past the page cache, for which .NET has no option.</content>
internal sealed unsafe partial class PositionalFile
{
    private const int LargestSector = 4096;

    /// <summary>The smallest transfer in bytes, which is also what memory has to be aligned to.</summary>
    /// <exception cref="IOException">The file cannot be read at all.</exception>
    // Asked of the file itself: what kernels say of it (statx) is newer than what they do.
    public int ProbeSmallestTransfer()
    {
        using var room = new NativeBuffer(2 * LargestSector);
        for (int size = BlkifLimits.SectorSize; size < LargestSector; size *= 2)
        {
            // At an address that is a multiple of the size and of nothing more.
            var vector = new IoVector((nint)(room.Start + size), size);
            if (!IsDirect || LibC.ReadMany(_handle, &vector, 1, 0) >= 0)
                return size;
            if (Marshal.GetLastWin32Error() is var error && error != LibC.Invalid)
                throw new IOException($"preadv failed with error {error} at byte 0.");
        }

        return LargestSector;
    }

    /// <summary>Has it read and written past the page cache from now on.</summary>
    /// <returns>False where the file system, or the system, has no such way.</returns>
    public bool TryGoDirect()
    {
        const int GetFlags = 3, SetFlags = 4; // F_GETFL, F_SETFL

        // O_DIRECT is one of the few flags that processors do not agree on.
        int direct = RuntimeInformation.ProcessArchitecture is Architecture.Arm or Architecture.Arm64 ? 0x10000 : 0x4000;
        IsDirect = IsLinux && LibC.ControlFile(_handle, SetFlags, LibC.ControlFile(_handle, GetFlags, 0) | direct) == 0;
        return IsDirect;
    }
}
