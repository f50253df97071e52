using System.Diagnostics;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Memory;

namespace Xen.Blkif.Engine;

/// <summary>The pages of a guest that stay mapped, found by reference: so many at most, those that nobody uses going one day.</summary>
/// <remarks>Owned by the queue's thread. Allocates nothing after its making.</remarks>
internal sealed unsafe class PersistentGrants : IDisposable
{
    // As in Linux's backend: when there was no room, 5 % of the pages make some, not more often than every 100 ms. A guest that cycles
    // through more pages than there is room for would otherwise have each of its requests map and unmap.
    private const int PurgedPercent = 5;
    private static readonly long PurgeInterval = Stopwatch.Frequency / 10;

    // Entries are counted from 1, so that memory of zeros says that all buckets and links are empty.
    private const int None = 0;

    private readonly PageMapper _pages;
    private readonly MemoryBudget _budget;
    private readonly long _timeout;
    private readonly int _capacity;

    // Room for as many pages as there may be. What was not needed yet takes no memory.
    private readonly NativeBuffer _memory;
    private readonly Entry* _entries;

    // The first entry of each bucket; the others are linked. A power of two, so that a part of the hash is the bucket.
    private readonly int* _buckets;
    private readonly int _hashShift;

    // Entries that were ever used, and those of them that hold no page now, linked like those of a bucket.
    private int _made;
    private int _free;

    // Entries that no request uses, from the one that was used the longest time ago to the one that was used last.
    private int _oldest = None;
    private int _newest = None;
    private bool _lackedRoom;
    private long _lastPurge;

    /// <param name="pages">Maps and unmaps.</param>
    /// <param name="capacity">Pages at most, from 0.</param>
    /// <param name="budget">What they are taken from.</param>
    /// <param name="timeout">How long a page stays that nobody uses, in ticks of the clock.</param>
    /// <param name="now">The time.</param>
    public PersistentGrants(PageMapper pages, int capacity, MemoryBudget budget, long timeout, long now)
    {
        _pages = pages;
        _budget = budget;
        _timeout = timeout;
        _lastPurge = now - PurgeInterval;
        _capacity = capacity;
        int bits = 1;
        while (1 << bits < capacity)
            bits++;
        _hashShift = 32 - bits;

        // SAFETY: room for the entries 0 to the capacity, and behind them for a bucket for each value of so many bits.
        long entriesLength = (capacity + 1L) * sizeof(Entry);
        _memory = new NativeBuffer(entriesLength + ((long)sizeof(int) << bits));
        _entries = (Entry*)_memory.Start;
        _buckets = (int*)(_memory.Start + entriesLength);
    }

    /// <summary>Pages that are mapped.</summary>
    public int Count { get; private set; }

    /// <summary>Finds a page, or maps it, writable, and keeps it until <see cref="Release"/> has been called as often as this.</summary>
    /// <returns>Its address, or 0 where there is no room for it or it cannot be mapped.</returns>
    public nint TryHold(GrantReference reference)
    {
        int index = Find(reference);
        if (index == None && (index = TryMap(reference)) == None)
            return 0;

        if (_entries[index].Uses++ == 0)
            Unlink(index);
        return _entries[index].Address;
    }

    /// <summary>Says that a use of a page is over.</summary>
    /// <param name="reference">A page that is held.</param>
    /// <param name="now">The time.</param>
    public void Release(GrantReference reference, long now)
    {
        int index = Find(reference);
        Debug.Assert(index != None && _entries[index].Uses > 0, "What is released was held.");
        if (--_entries[index].Uses > 0)
            return;
        _entries[index].LastUsed = now;
        LinkAsNewest(index);
    }

    /// <summary>Unmaps what nobody has used for too long, and makes room where there was none. To be called when there is nothing better to do.</summary>
    /// <param name="now">The time.</param>
    public void Tidy(long now)
    {
        int removed = 0;
        for (; _oldest != None && now - _entries[_oldest].LastUsed >= _timeout; removed++)
            Remove(_oldest);

        if (!_lackedRoom || now - _lastPurge < PurgeInterval)
            return;

        for (int wanted = Math.Max(1, Count * PurgedPercent / 100); _oldest != None && removed < wanted; removed++)
            Remove(_oldest);
        _lackedRoom = false;
        _lastPurge = now;
    }

    /// <summary>How long it is until <see cref="Tidy"/> has something to do, in ticks of the clock; at most <see cref="long.MaxValue"/>, for never.</summary>
    /// <param name="now">The time.</param>
    public long TimeUntilUntidy(long now)
    {
        if (_oldest == None)
            return long.MaxValue;

        long age = now - _entries[_oldest].LastUsed;
        long expiry = _timeout == long.MaxValue ? long.MaxValue : Math.Max(0, _timeout - age);
        return _lackedRoom ? Math.Min(expiry, Math.Max(0, PurgeInterval - (now - _lastPurge))) : expiry;
    }

    /// <summary>Unmaps every page, whoever uses it: nobody may by now.</summary>
    public void Dispose()
    {
        for (int index = 1; index <= _made; index++)
        {
            if (_entries[index].Address != 0)
                Unmap(_entries[index].Address);
        }

        _made = 0;
        _memory.Dispose();
    }

    private int TryMap(GrantReference reference)
    {
        if (Count == _capacity || !_budget.TryTake(XenPage.Size))
        {
            _lackedRoom = true;
            return None;
        }

        // One at a time: pages that are mapped together are unmapped together.
        nint address = _pages.TryMap(reference, writable: true);
        if (address == 0)
        {
            _budget.GiveBack(XenPage.Size);
            return None;
        }

        int index = TakeFree();
        ref int bucket = ref BucketOf(reference);
        _entries[index] = new Entry { Reference = reference, Address = address, Link = bucket };
        bucket = index;
        Count++;
        LinkAsNewest(index);
        return index;
    }

    private int TakeFree()
    {
        if (_free == None)
            return ++_made;
        int index = _free;
        _free = _entries[index].Link;
        return index;
    }

    private void Remove(int index)
    {
        Unlink(index);
        ref Entry entry = ref _entries[index];
        ref int link = ref BucketOf(entry.Reference);
        while (link != index)
            link = ref _entries[link].Link;
        link = entry.Link;

        Unmap(entry.Address);
        entry = new Entry { Link = _free };
        _free = index;
        Count--;
    }

    private void Unmap(nint address)
    {
        _pages.Unmap(address, 1);
        _budget.GiveBack(XenPage.Size);
    }

    private int Find(GrantReference reference)
    {
        int index = BucketOf(reference);
        while (index != None && !_entries[index].Reference.Equals(reference))
            index = _entries[index].Link;
        return index;
    }

    // References come in runs; the multiplication (by 2^32 over the golden ratio) spreads them, and no choice of them that a grant table has
    // room for makes a chain long.
    private ref int BucketOf(GrantReference reference) => ref _buckets[unchecked(reference.Value * 0x9E37_79B9u) >> _hashShift];

    private void LinkAsNewest(int index)
    {
        _entries[index].Older = _newest;
        _entries[index].Newer = None;
        if (_newest == None)
            _oldest = index;
        else
            _entries[_newest].Newer = index;
        _newest = index;
    }

    private void Unlink(int index)
    {
        (int older, int newer) = (_entries[index].Older, _entries[index].Newer);
        if (older == None)
            _oldest = newer;
        else
            _entries[older].Newer = newer;
        if (newer == None)
            _newest = older;
        else
            _entries[newer].Older = older;
    }

    private struct Entry
    {
        public GrantReference Reference;
        public int Uses; // here, where it fills a gap
        public nint Address;
        public long LastUsed;
        public int Link;
        public int Older;
        public int Newer;
    }
}
