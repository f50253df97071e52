using Xen.Blkif.IoUring.Kernel;
using Xen.Blkif.Memory;
using Xen.Blkif.Targets;
using Xen.Blkif.Targets.Files;

namespace Xen.Blkif.IoUring;

/// <summary>Whether the driver of a block device may make who asks it wait, where others take a request or say that they cannot now.</summary>
internal static unsafe class Waiting
{
    /// <summary>Asks the device itself, for its first sector: RAM disks of Linux before 6.3 are such, and some that are made of others.</summary>
    public static bool MayBeNeededBy(PositionalFile device)
    {
        int length = device.Device!.LogicalSectorSize;
        using var room = new NativeBuffer(length);
        var vector = new IoVector((nint)room.Start, length);
        return Interop.ReadWithoutWaiting((int)device.Handle.DangerousGetHandle(), &vector, 1, 0) == -Interop.NotSupportedError;
    }
}
