using System.Runtime.InteropServices;

namespace Xen.Blkif.IoUring.Kernel;

/// <summary>Memory that a ring shares with the kernel.</summary>
internal sealed class RingMapping : SafeHandle
{
    private const int ReadWrite = 1 | 2; // PROT_READ | PROT_WRITE
    private const int Shared = 1 | 0x8000; // MAP_SHARED | MAP_POPULATE

    private readonly nuint _length;

    /// <summary>Maps. <see cref="IsInvalid"/> tells where the system cannot, and the last error says why.</summary>
    /// <param name="ring">The ring's descriptor.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="offset">Which part of the ring.</param>
    public RingMapping(int ring, nuint length, long offset)
        : base(-1, ownsHandle: true)
    {
        _length = length;
        SetHandle(Interop.Map(0, length, ReadWrite, Shared, ring, offset));
    }

    public override bool IsInvalid => handle == -1;

    /// <summary>The first byte. Valid until this is disposed.</summary>
    public nint Address => handle;

    protected override bool ReleaseHandle() => Interop.Unmap(handle, _length) == 0;
}
