using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Memory;

/// <summary>Zeroed memory outside the garbage collector's reach, page-aligned: what grant copies and I/O work on never moves.</summary>
/// <remarks>The pages are taken from the system when they are first written to, so that a buffer for the worst case costs little until it comes.</remarks>
internal sealed unsafe class NativeBuffer : SafeHandle
{
    private readonly byte* _start;

    /// <summary>Allocates.</summary>
    /// <param name="length">Bytes, at least 1.</param>
    public NativeBuffer(long length)
        : base(IntPtr.Zero, ownsHandle: true)
    {
        Length = length;
        nuint room = checked((nuint)length + XenPage.Size);
#if NETSTANDARD
        SetHandle(Marshal.AllocHGlobal((IntPtr)(long)room));
        for (nuint cleared = 0; cleared < room; cleared += 1u << 30)
            Unsafe.InitBlockUnaligned((byte*)handle + cleared, 0, (uint)Math.Min(room - cleared, 1u << 30));
#else
        // calloc leaves pages untouched that come from the system, unlike an allocation that is cleared.
        SetHandle((nint)NativeMemory.AllocZeroed(room));
#endif
        GC.AddMemoryPressure((long)room);
        _start = (byte*)(((nuint)(void*)handle + XenPage.Size - 1) & ~(nuint)(XenPage.Size - 1));

        // What the allocator had before was cleared by writing to it: its pages go again.
        ReleasePages(0);
    }

    /// <summary>Bytes.</summary>
    public long Length { get; }

    /// <summary>The first byte, at the start of a page.</summary>
    public byte* Start => _start;

    /// <inheritdoc/>
    public override bool IsInvalid => handle == IntPtr.Zero;

    /// <summary>Part of the buffer.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">Bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the buffer.</exception>
    /// <exception cref="ObjectDisposedException">The memory was given back.</exception>
    public Span<byte> Slice(long offset, int length)
    {
        if (IsClosed)
            throw new ObjectDisposedException(nameof(NativeBuffer), "The memory was given back: its owner is disposed.");

        // SAFETY: the range is checked, so that a span never leaves the allocation.
        if ((ulong)offset > (ulong)Length || (ulong)length > (ulong)(Length - offset))
            throw new ArgumentOutOfRangeException(nameof(offset), offset, $"The range of {length} bytes leaves a buffer of {Length} bytes.");
        return new Span<byte>(_start + offset, length);
    }

    /// <summary>Gives the pages from an offset on back to the system, on Linux: they hold zeros when they are used again. On others they stay.</summary>
    /// <param name="offset">The first byte, at the start of a page.</param>
    public void ReleasePages(long offset) => LibC.ReleasePages(_start + offset, Length - offset);

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        // The allocator may keep what is freed for its next caller: then the addresses alone.
        ReleasePages(0);
        GC.RemoveMemoryPressure(Length + XenPage.Size);
#if NETSTANDARD
        Marshal.FreeHGlobal(handle);
#else
        NativeMemory.Free((void*)handle);
#endif
        return true;
    }
}
