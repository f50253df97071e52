using Xen.Blkif.IoUring.Kernel;
using Xen.Blkif.Memory;
using Xen.Blkif.Targets;
using Xen.Blkif.Targets.Files;
using LibC = Xen.Blkif.Targets.Files.LibC;

namespace Xen.Blkif.IoUring;

/// <summary>Which block devices are quicker by plain system calls than by a ring.</summary>
internal static unsafe class PlainCalls
{
    private const int Reads = 8;

    /// <summary>Asks the device itself, for its first sector, a few times.</summary>
    /// <remarks>
    /// Some drivers cannot take a request without making who asks wait: the ring hands each to a thread. Others, such as RAM disks, have nothing
    /// to wait for, and the ring adds to what they take. A disk has each of its readers sleep.
    /// </remarks>
    public static bool AreQuickerFor(PositionalFile device)
    {
        int length = device.Device!.LogicalSectorSize;
        using var room = new NativeBuffer(length);
        var vector = new IoVector((nint)room.Start, length);
        if (Interop.ReadWithoutWaiting((int)device.Handle.DangerousGetHandle(), &vector, 1, 0) == -Interop.NotSupportedError)
            return true;

        long before = LibC.SleepsOfThisThread();
        for (int i = 0; i < Reads; i++)
            _ = LibC.ReadMany(device.Handle, &vector, 1, 0);

        // One or two may have met something else to wait for.
        return before >= 0 && LibC.SleepsOfThisThread() - before < Reads / 2;
    }
}
