namespace Xen.Blkif.Engine;

/// <summary>
/// Keeps the queues of a device from taking requests while one of them does a write with a barrier. A queue says that it is busy before it
/// takes requests, and that it is not when all are done; a barrier closes the gate and begins when no other queue is busy.
/// </summary>
/// <remarks>
/// Thread-safe, without a lock: a queue says its part, then looks at the gate; a barrier closes the gate, then looks at the queues. With a
/// full fence between the two in both, one of them sees the other. Only joining and leaving take a lock.
/// </remarks>
internal sealed class BarrierGate
{
#pragma warning disable MA0158 // netstandard2.0 has no type for locks
    private readonly object _joining = new();
#pragma warning restore MA0158
    private Member[] _members = [];
    private Member? _holder;

    /// <summary>Adds a queue.</summary>
    /// <param name="wake">Has the queue's thread look again. Any thread calls it.</param>
    public Member Join(Action wake)
    {
        var member = new Member(this, wake);
        lock (_joining)
            Volatile.Write(ref _members, [.. _members, member]);
        return member;
    }

    /// <summary>A queue's part. Used by the queue's thread.</summary>
    public sealed class Member(BarrierGate gate, Action wake)
    {
        private int _busy;

        /// <summary>Asks whether requests may be taken, and says that this queue is busy if so.</summary>
        /// <returns>False while another queue's barrier is to be done first. Then this queue is woken when it is.</returns>
        public bool TryEnter()
        {
            if (_busy != 0)
                return IsOpen;

            // Full fence: busy before looking at the gate. Pairs with the one in TryClose.
            Interlocked.Exchange(ref _busy, 1);
            if (IsOpen)
                return true;
            BeIdle();
            return false;
        }

        /// <summary>Says that nothing is under way in this queue, but for a barrier that has not begun.</summary>
        public void BeIdle()
        {
            if (_busy == 0)
                return;

            // Full fence: idle before looking for a barrier that waits for this. Pairs with the one in TryClose.
            Interlocked.Exchange(ref _busy, 0);
            if (Volatile.Read(ref gate._holder) is { } holder && holder != this)
                holder.Wake();
        }

        /// <summary>Closes the gate for a barrier of this queue, which has nothing else under way.</summary>
        /// <returns>Whether the barrier may begin. If not, this queue is woken when that may have changed.</returns>
        public bool TryClose()
        {
            Member? holder = Interlocked.CompareExchange(ref gate._holder, this, null);
            if (holder is not null && holder != this)
                return false;

            // The exchange was the full fence: closed before looking at the queues. Of a later call too, for it is the first one's gate.
            foreach (Member member in Volatile.Read(ref gate._members))
            {
                if (member != this && Volatile.Read(ref member._busy) != 0)
                    return false;
            }

            return true;
        }

        /// <summary>Opens the gate when the barrier is done. Does nothing where it is not this queue's.</summary>
        public void Open()
        {
            if (Interlocked.CompareExchange(ref gate._holder, null, this) != this)
                return;
            foreach (Member member in Volatile.Read(ref gate._members))
            {
                if (member != this)
                    member.Wake();
            }
        }

        /// <summary>Ends this queue's part: nobody waits for it any more.</summary>
        public void Leave()
        {
            lock (gate._joining)
                Volatile.Write(ref gate._members, [.. gate._members.Where(member => member != this)]);
            BeIdle();
            Open();
        }

        private bool IsOpen => Volatile.Read(ref gate._holder) is not { } holder || holder == this;

        private void Wake() => wake();
    }
}
