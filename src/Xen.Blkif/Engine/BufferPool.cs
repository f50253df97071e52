using System.Diagnostics;
using Xen.Blkif.Memory;

namespace Xen.Blkif.Engine;

/// <summary>Buffers for those requests that carry more than every slot has room for: made as they are needed, then used again and again.</summary>
internal sealed unsafe class BufferPool : IDisposable
{
    private readonly Func<NativeBuffer> _make;
    private readonly NativeBuffer[] _made;
    private int _madeCount;

    // A stack: what was used last is in the cache, and what lies at the bottom was not needed for the longest time.
    private readonly nint[] _free;
    private int _freeCount;

    /// <param name="make">Makes a buffer.</param>
    /// <param name="capacity">Buffers, at most.</param>
    public BufferPool(Func<NativeBuffer> make, int capacity)
    {
        _make = make;
        _made = new NativeBuffer[capacity];
        _free = new nint[capacity];
    }

    /// <summary>Buffers that have memory, in use or not.</summary>
    public int Made => _madeCount;

    /// <summary>Whether every buffer that there may be is in use.</summary>
    public bool IsExhausted => _freeCount == 0 && _madeCount == _made.Length;

    /// <summary>Takes a buffer. Allocates where there was never one more in use than now.</summary>
    /// <returns>
    /// Its first byte, at the start of a page, or null where the system has no memory for it. It holds what its last user has left.
    /// </returns>
    public byte* TryRent()
    {
        Debug.Assert(!IsExhausted, "Ask IsExhausted first.");
        if (_freeCount > 0)
            return (byte*)_free[--_freeCount];

        try
        {
            NativeBuffer buffer = _make();
            _made[_madeCount++] = buffer;
            return buffer.Start;
        }
        catch (OutOfMemoryException)
        {
            // Not the end of the device: small requests have their memory already, and there may be more of it for the next large one.
            return null;
        }
    }

    public void Return(byte* buffer)
    {
        Debug.Assert(Array.IndexOf(_free, (nint)buffer, 0, _freeCount) < 0, "A buffer is returned once.");
        _free[_freeCount++] = (nint)buffer;
    }

    public void Dispose()
    {
        for (int i = 0; i < _madeCount; i++)
            _made[i].Dispose();
    }
}
