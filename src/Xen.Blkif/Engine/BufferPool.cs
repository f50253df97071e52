using System.Diagnostics;
using Xen.Blkif.Memory;

namespace Xen.Blkif.Engine;

/// <summary>
/// Buffers for those requests that carry more than every slot has room for: made as they are needed, used again and again, and given back when
/// nobody needs so many any more.
/// </summary>
internal sealed unsafe class BufferPool : IDisposable
{
    private readonly Func<NativeBuffer> _make;
    private readonly long _length;
    private readonly int _kept;
    private readonly int _most;
    private readonly MemoryBudget _budget;
    private NativeBuffer[] _made;
    private int _madeCount;

    // Buffers that the budget has room for: those made, and now and then a few that are not yet.
    private int _granted;
    private int _promised;

    // A stack: what was used last is in the cache, and what lies at the bottom was not needed for the longest time. The lowest few were
    // not needed since a look at the clock.
    private nint[] _free;
    private int _freeCount;
    private int _unneeded;
    private long _since;

    /// <param name="make">Makes a buffer.</param>
    /// <param name="length">Bytes of each.</param>
    /// <param name="most">Buffers in use at once, at most, but for users that may not wait.</param>
    /// <param name="kept">Buffers that stay, however long nobody needs them.</param>
    /// <param name="budget">What they are taken from.</param>
    public BufferPool(Func<long, NativeBuffer> make, long length, int most, int kept, MemoryBudget budget)
    {
        _make = () => make(length);
        _length = length;
        _most = most;
        _kept = kept;
        _budget = budget;
        _made = new NativeBuffer[most];
        _free = new nint[most];
    }

    /// <summary>Buffers that have memory, in use or not.</summary>
    public int Made => _madeCount;

    /// <summary>Whether there is room for one more user, beside those that there are and what is promised. The first is never refused.</summary>
    /// <param name="count">Buffers that the user needs.</param>
    public bool HasRoomFor(int count)
    {
        int others = _madeCount - _freeCount + _promised;
        return others == 0 || (others + count <= _most && TryGrant(others + count));
    }

    /// <summary>Keeps buffers for a request that may come to need them, until it takes them or <see cref="EndPromises"/>.</summary>
    public void Promise(int count) => _promised += count;

    /// <summary>Forgets all promises, and what the budget has given for them.</summary>
    /// <returns>Whether there were any: then there is more room than there was.</returns>
    public bool EndPromises()
    {
        bool any = _promised > 0;
        _promised = 0;
        if (_granted != _madeCount)
            GiveBackGranted();
        return any;
    }

    /// <summary>
    /// Takes a buffer. Allocates where there was not one more in use lately. Who has not asked <see cref="HasRoomFor"/> gets one beyond
    /// what there may be and beyond the budget, if need be.
    /// </summary>
    /// <returns>
    /// Its first byte, at the start of a page, or null where the system has no memory for it. It holds what its last user has left.
    /// </returns>
    public byte* TryRent()
    {
        _promised = Math.Max(0, _promised - 1);
        if (_freeCount > 0)
        {
            _unneeded = Math.Min(_unneeded, --_freeCount);
            return (byte*)_free[_freeCount];
        }

        try
        {
            NativeBuffer buffer = _make();
            if (_madeCount == _made.Length)
                Grow();
            _made[_madeCount++] = buffer;
            if (_granted < _madeCount)
            {
                _budget.Take(_length);
                _granted++;
            }

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

    /// <summary>Gives back what nobody has needed for <see cref="Idleness.Ticks"/>, and before it is twice that. To be called when there is nothing better to do.</summary>
    /// <param name="now">The time.</param>
    public void Tidy(long now)
    {
        if (now - _since >= Idleness.Ticks)
            GiveBackUnneeded(now);
    }

    /// <summary>How long it is until <see cref="Tidy"/> has something to do, in ticks of the clock; <see cref="long.MaxValue"/> for never.</summary>
    /// <param name="now">The time.</param>
    public long TimeUntilUntidy(long now) =>
        _freeCount > 0 && _madeCount > _kept ? Math.Max(0, Idleness.Ticks - (now - _since)) : long.MaxValue;

    public void Dispose()
    {
        for (int i = 0; i < _madeCount; i++)
            _made[i].Dispose();
        _budget.GiveBack(_granted * _length);
        _granted = _madeCount = _freeCount = 0;
    }

    private bool TryGrant(int needed)
    {
        if (needed <= _granted)
            return true;

        // All or nothing: a part that is of no use yet may be another queue's.
        if (!_budget.TryTake((needed - _granted) * _length))
            return false;
        _granted = needed;
        return true;
    }

    private void GiveBackGranted()
    {
        _budget.GiveBack((_granted - _madeCount) * _length);
        _granted = _madeCount;
    }

    // For users that may not wait, which are those of a process that was killed: no others ever need more than the most.
    private void Grow()
    {
        Array.Resize(ref _made, 2 * _made.Length);
        Array.Resize(ref _free, _made.Length);
    }

    private void GiveBackUnneeded(long now)
    {
        int gone = Math.Max(0, Math.Min(_unneeded, _madeCount - _kept));
        for (int i = 0; i < gone; i++)
            GiveBack(_free[i]);
        _freeCount -= gone;
        Array.Copy(_free, gone, _free, 0, _freeCount);
        _unneeded = _freeCount;
        _since = now;
    }

    private void GiveBack(nint start)
    {
        int index = 0;
        while (_made[index].Start != (byte*)start)
            index++;
        _made[index].Dispose();
        _made[index] = _made[--_madeCount];
        _made[_madeCount] = null!;
        _granted--;
        _budget.GiveBack(_length);
    }
}
