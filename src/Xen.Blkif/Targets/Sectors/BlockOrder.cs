namespace Xen.Blkif.Targets.Sectors;

/// <summary>
/// Who writes which blocks of a target, over all of its queues: a claim waits for those that came before it and conflict with it. As each
/// claim has all of its blocks or none, and waits for earlier ones alone, there is no deadlock, and none waits for ever.
/// </summary>
/// <remarks>Thread-safe. The lock is held while the list of claims is walked, never while I/O runs. It allocates nothing: the claims are the list.</remarks>
internal sealed class BlockOrder
{
#pragma warning disable MA0158 // netstandard2.0 has no type for locks
    private readonly object _gate = new();
#pragma warning restore MA0158
    private BlockClaim? _first;
    private BlockClaim? _last;

    // While there is none, nothing can conflict, and nothing is walked.
    private int _partial;

    /// <summary>Takes a place.</summary>
    /// <returns>False where others are before it: then <see cref="BlockClaim.Start"/> is called when they have left.</returns>
    public bool TryEnter(BlockClaim claim)
    {
        lock (_gate)
        {
            if (claim.IsPartial)
                _partial++;

            claim.Obstacles = 0;
            for (BlockClaim? earlier = _partial > 0 ? _first : null; earlier is not null; earlier = earlier.Next)
                claim.Obstacles += earlier.Conflicts(claim) ? 1 : 0;

            Append(claim);
            return claim.Obstacles == 0;
        }
    }

    /// <summary>Gives the place up, and starts what waited for it alone.</summary>
    public void Leave(BlockClaim claim)
    {
        BlockClaim? ready = null;
        lock (_gate)
        {
            for (BlockClaim? later = _partial > 0 ? claim.Next : null; later is not null; later = later.Next)
            {
                if (!later.Conflicts(claim) || --later.Obstacles > 0)
                    continue;
                later.NextToStart = ready;
                ready = later;
            }

            if (claim.IsPartial)
                _partial--;
            Remove(claim);
        }

        while (ready is not null)
        {
            // Looked up first: once it is started, it may come to its end and into another such list at any time.
            BlockClaim next = ready;
            ready = ready.NextToStart;
            next.Start();
        }
    }

    private void Append(BlockClaim claim)
    {
        claim.Previous = _last;
        claim.Next = null;
        if (_last is null)
            _first = claim;
        else
            _last.Next = claim;
        _last = claim;
    }

    private void Remove(BlockClaim claim)
    {
        if (claim.Previous is null)
            _first = claim.Next;
        else
            claim.Previous.Next = claim.Next;
        if (claim.Next is null)
            _last = claim.Previous;
        else
            claim.Next.Previous = claim.Previous;
    }
}
