namespace Xen.Blkif.Engine;

/// <summary>Counts durations by size, from nanoseconds to hours, each to within an eighth of itself.</summary>
/// <remarks>Written by one thread; read by any, at any time, with the last few records perhaps missing.</remarks>
public sealed class LatencyHistogram
{
    // A bucket is the position of the highest bit and the three bits behind it.
    private const int SubBits = 3;
    private readonly long[] _buckets = new long[64 << SubBits];

    /// <summary>Durations recorded.</summary>
    public long Count
    {
        get
        {
            long total = 0;
            foreach (long bucket in _buckets)
                total += bucket;
            return total;
        }
    }

    /// <summary>The longest, exactly.</summary>
    public TimeSpan Max => FromNanoseconds(_max);

    private long _max;

    /// <summary>Counts a duration.</summary>
    /// <param name="nanoseconds">The duration; what is negative counts as 0.</param>
    public void Record(long nanoseconds)
    {
        if (nanoseconds < 0)
            nanoseconds = 0;
        _buckets[BucketOf((ulong)nanoseconds)]++;
        if (nanoseconds > _max)
            _max = nanoseconds;
    }

    /// <summary>The duration that a share of all does not exceed.</summary>
    /// <param name="share">0 to 1; 0.5 is the median.</param>
    /// <returns>The upper end of the bucket that it falls into; zero where nothing was recorded.</returns>
    public TimeSpan Percentile(double share)
    {
        long total = Count;
        long rank = Math.Max(1, (long)Math.Ceiling(share * total));
        for (int i = 0; total > 0 && i < _buckets.Length; i++)
        {
            rank -= _buckets[i];
            if (rank <= 0)
                return FromNanoseconds((long)Math.Min(UpperEndOf(i), (ulong)_max));
        }

        return TimeSpan.Zero;
    }

    /// <summary>Counts what another has counted.</summary>
    /// <param name="other">The other.</param>
    public void Add(LatencyHistogram other)
    {
        for (int i = 0; i < _buckets.Length; i++)
            _buckets[i] += other._buckets[i];
        _max = Math.Max(_max, other._max);
    }

    /// <summary>What is counted now, to be compared with later.</summary>
    public LatencyHistogram Copy()
    {
        var copy = new LatencyHistogram();
        copy.Add(this);
        return copy;
    }

    /// <summary>What was counted after a copy was made.</summary>
    /// <param name="earlier">The copy, of this histogram.</param>
    /// <returns>The difference; its longest duration is known to within an eighth.</returns>
    public LatencyHistogram Since(LatencyHistogram earlier)
    {
        var since = new LatencyHistogram();
        for (int i = 0; i < _buckets.Length; i++)
        {
            long more = _buckets[i] - earlier._buckets[i];
            since._buckets[i] = more;
            if (more > 0)
                since._max = (long)Math.Min(UpperEndOf(i), (ulong)_max);
        }

        return since;
    }

    private static TimeSpan FromNanoseconds(long nanoseconds) => TimeSpan.FromTicks((nanoseconds / 100) + (nanoseconds % 100 == 0 ? 0 : 1));

    // Small ones have a bucket each, as if they had the bit that comes after theirs.
    private static int BucketOf(ulong value)
    {
        int shift = Log2(value | (1 << SubBits)) - SubBits;
        return (shift << SubBits) + (int)(value >> shift);
    }

    private static ulong UpperEndOf(int bucket)
    {
        if (bucket < 1 << SubBits)
            return (ulong)bucket;
        int shift = (bucket >> SubBits) - 1;
        ulong lead = (ulong)(bucket & ((1 << SubBits) - 1)) + (1 << SubBits);
        return ((lead + 1) << shift) - 1;
    }

#if NETSTANDARD
    private static int Log2(ulong value)
    {
        int log = 0;
        while ((value >>= 1) != 0)
            log++;
        return log;
    }
#else
    private static int Log2(ulong value) => System.Numerics.BitOperations.Log2(value);
#endif
}
