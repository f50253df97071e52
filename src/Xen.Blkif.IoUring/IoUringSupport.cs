using Xen.Blkif.IoUring.Kernel;

namespace Xen.Blkif.IoUring;

/// <summary>Whether this system lets this process use io_uring.</summary>
internal static class IoUringSupport
{
    /// <summary>Makes a ring and closes it.</summary>
    /// <param name="refusal">Why there is none, as part of a sentence; empty where there is one.</param>
    public static bool IsThere(out string refusal)
    {
        using KernelRing? ring = KernelRing.TryOpen(entries: 1, out refusal);
        return ring is not null;
    }
}
