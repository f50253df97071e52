namespace Xen.Blkif.Engine;

/// <summary>
/// What queues may take together, of all devices that share it: buffers for the data of requests of more than 11 segments, and guests' pages
/// that stay mapped.
/// </summary>
/// <remarks>
/// Thread-safe. Whatever others have taken, each queue serves requests of any size: small ones have memory of their own, and the first
/// large one is never refused what it needs. With none left, a queue has as many large requests under way as it has buffers for, and copies what
/// it cannot keep mapped. <see cref="Used"/> is above <see cref="Limit"/> by one request of 1 MiB for each queue at most, and by what is needed for
/// requests that a process was killed over, which are done anew.
/// </remarks>
public sealed class MemoryBudget
{
    private long _used;

    /// <summary>Makes a budget.</summary>
    /// <param name="limit">Bytes, from 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">The limit is negative.</exception>
    public MemoryBudget(long limit) => Limit = limit >= 0
        ? limit
        : throw new ArgumentOutOfRangeException(nameof(limit), limit, "A budget of memory is not negative.");

    /// <summary>
    /// The budget of all devices of the process that are given no other: 192 MiB. If all of that were mapped pages, a quarter of the mappings
    /// that Linux allows a process (65,530, <c>vm.max_map_count</c>) would be left for everything else.
    /// </summary>
    public static MemoryBudget Shared { get; } = new(192L << 20);

    /// <summary>Bytes that may be taken.</summary>
    public long Limit { get; }

    /// <summary>Bytes that are taken now.</summary>
    public long Used => Interlocked.Read(ref _used);

    internal bool TryTake(long bytes)
    {
        // A counter; orders nothing. Never above the limit for a moment, which would refuse another queue what there is room for.
        while (true)
        {
            long used = Interlocked.Read(ref _used);
            if (bytes > Limit - used)
                return false;
            if (Interlocked.CompareExchange(ref _used, used + bytes, used) == used)
                return true;
        }
    }

    /// <summary>Takes what cannot be refused.</summary>
    internal void Take(long bytes) => _ = Interlocked.Add(ref _used, bytes);

    internal void GiveBack(long bytes) => _ = Interlocked.Add(ref _used, -bytes);
}
