namespace Xen.Blkif.Targets.Sectors;

/// <summary>The blocks that a write or discard touches, and its place among the others: see <see cref="BlockOrder"/>.</summary>
internal abstract class BlockClaim
{
    /// <summary>The first byte of the first block.</summary>
    public long First { get; protected set; }

    /// <summary>The first byte behind the last block.</summary>
    public long End { get; protected set; }

    /// <summary>Whether the first or the last block is written in part, so that the rest of it is read before and written with it.</summary>
    public bool IsPartial { get; protected set; }

    // The order's own, under its lock; the last of them from there until the claim is started.
    internal BlockClaim? Previous { get; set; }

    internal BlockClaim? Next { get; set; }

    internal int Obstacles { get; set; }

    internal BlockClaim? NextToStart { get; set; }

    /// <summary>Goes on with what had to wait. Any thread.</summary>
    public abstract void Start();

    /// <summary>Whether both touch a block that one of them writes in part. Those that write it as a whole race as on any disk.</summary>
    public bool Conflicts(BlockClaim other) => (IsPartial || other.IsPartial) && First < other.End && other.First < End;
}
