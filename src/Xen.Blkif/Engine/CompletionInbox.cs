using Xen.Blkif.Hypervisor;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Engine;

/// <summary>Where other threads leave the results of requests for the one that owns the queue. Lock-free; allocates nothing after its making.</summary>
internal sealed class CompletionInbox : IBlockCompletions
{
    private const int Nothing = -1;
    private const int Idle = 0, UnderWay = 1, Posted = 2;

    private readonly IEventChannel _doorbell;

    // A stack of slots, linked by index: a slot is in it at most once and is only ever taken with all others, so that ABA cannot happen.
    private readonly int[] _next;
    private readonly BlockStatus[] _statuses;
    private readonly int[] _states;
    private int _head = Nothing;
    private int _asleep;

    public CompletionInbox(int slots, IEventChannel doorbell)
    {
        _doorbell = doorbell;
        _next = new int[slots];
        _statuses = new BlockStatus[slots];
        _states = new int[slots];
    }

    /// <summary>Allows one completion of a slot.</summary>
    // Release: the target that gets the slot next, on whatever thread, sees that it is under way.
    public void Expect(int slot) => Volatile.Write(ref _states[slot], UnderWay);

    /// <summary>Withdraws it: the request turned out to be done at once.</summary>
    /// <returns>False where the target has completed the slot as well. That result is posted already, and there is only one.</returns>
    // An exchange, for the other completion may come from another thread at this very moment.
    public bool TryForget(int slot) => Interlocked.CompareExchange(ref _states[slot], Idle, UnderWay) == UnderWay;

    /// <inheritdoc/>
    public void Complete(int slot, BlockStatus status)
    {
        if ((uint)slot >= (uint)_states.Length || status == BlockStatus.Pending
            || Interlocked.CompareExchange(ref _states[slot], Posted, UnderWay) != UnderWay)
        {
            ThrowNotUnderWay(slot, status);
        }

        _statuses[slot] = status;
        int head;
        do
        {
            head = Volatile.Read(ref _head);
            _next[slot] = head;
        }
        while (Interlocked.CompareExchange(ref _head, slot, head) != head);

        // The exchange above is a full fence: the result is posted before this looks whether the owner sleeps. Pairs with the owner's fence.
        if (Volatile.Read(ref _asleep) != 0 && Interlocked.Exchange(ref _asleep, 0) != 0)
            _doorbell.Wake();
    }

    /// <summary>Takes all results.</summary>
    /// <returns>The first slot, from which <see cref="Collect"/> leads on; negative where there is none.</returns>
    // The exchange acquires: statuses and links were written before the slots were pushed.
    public int TakeAll() => Volatile.Read(ref _head) == Nothing ? Nothing : Interlocked.Exchange(ref _head, Nothing);

    /// <summary>Reads a taken slot's result, and leaves the slot free for its next request.</summary>
    /// <returns>The next slot; negative at the end.</returns>
    public int Collect(int slot, out BlockStatus status)
    {
        int next = _next[slot];
        status = _statuses[slot];
        Volatile.Write(ref _states[slot], Idle);
        return next;
    }

    /// <summary>Whether there are results.</summary>
    public bool HasResults => Volatile.Read(ref _head) != Nothing;

    /// <summary>Says that the owner is about to sleep, so that the next result wakes it. A full fence and a look at <see cref="HasResults"/> come after it.</summary>
    public void FallAsleep() => Volatile.Write(ref _asleep, 1);

    /// <summary>Says that the owner is awake, so that results need not ring.</summary>
    public void WakeUp() => Volatile.Write(ref _asleep, 0);

    private static void ThrowNotUnderWay(int slot, BlockStatus status) => throw new InvalidOperationException(
        $"A target completed slot {slot} with {status}, but no request is under way there: it was completed twice, or was never submitted.");
}
