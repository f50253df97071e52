using System.Buffers;

namespace Xen.Blkif.Memory;

/// <summary>Shows native memory as <see cref="Memory{T}"/>, for code that speaks no pointers. One view is pointed at one buffer after another.</summary>
/// <remarks>The memory outlives its use by contract: a target has it until it completes the request.</remarks>
internal sealed unsafe class NativeMemoryView : MemoryManager<byte>
{
    private byte* _start;
    private int _length;

    /// <summary>Points the view elsewhere.</summary>
    /// <param name="address">The first byte.</param>
    /// <param name="length">Bytes.</param>
    public Memory<byte> PointAt(nint address, int length)
    {
        _start = (byte*)address;
        _length = length;
        return Memory;
    }

    /// <inheritdoc/>
    public override Span<byte> GetSpan() => new(_start, _length);

    /// <inheritdoc/>
    public override MemoryHandle Pin(int elementIndex = 0) => new(_start + elementIndex);

    /// <inheritdoc/>
    public override void Unpin()
    {
        // Native memory does not move.
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        // The memory belongs to the request's slot.
    }
}
