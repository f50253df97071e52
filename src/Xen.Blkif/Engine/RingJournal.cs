using System.Runtime.CompilerServices;

namespace Xen.Blkif.Engine;

/// <summary>
/// The requests that a queue has taken and not answered, in memory that outlives the process: what a successor has to answer. The ring cannot
/// say it, for a response takes the place of the oldest request, whichever it answers.
/// </summary>
/// <remarks>
/// One record for each slot of the engine: a word that says what the record is, and a copy of the request. Every word is one store, so that
/// the memory makes sense after each. A request is <i>taken</i> from before it is started; then its response has an <i>index</i> in the ring,
/// from before it is shown; and the record is <i>free</i> after that. Whether an indexed response was shown says the ring's own
/// <c>rsp_prod</c>. Hence <c>req_cons</c> is, at any time, <c>rsp_prod</c> and the number of requests here that are not answered.
/// <para>
/// No fence is needed for that: a process is killed between two instructions, and whoever comes after it finds what was stored before, in the
/// order of the program, on any processor. Only the compiler must not turn the order round, which volatile writes forbid.
/// </para>
/// </remarks>
internal unsafe class RingJournal
{
    /// <summary>Records: as many as the largest ring has slots.</summary>
    public const int Slots = 512;

    /// <summary>Bytes of the memory.</summary>
    public const int Length = Slots * RecordLength;

    // A word, and room for a request in any layout.
    private const int RecordLength = 128;
    private const ulong Free = 0, Taken = 1UL << 32, Indexed = 2UL << 32, KindMask = ~(ulong)uint.MaxValue;

    private readonly byte* _records;

    /// <param name="address">Memory of <see cref="Length"/> bytes, zeros or what a predecessor left; aligned to 8.</param>
    public RingJournal(nint address) => _records = (byte*)address;

    /// <summary>Notes a request that was taken from the ring.</summary>
    public void Take<TRequest>(int slot, in TRequest request)
        where TRequest : unmanaged
    {
        Unsafe.WriteUnaligned(Record(slot) + sizeof(ulong), request);
        Store(slot, Taken);
    }

    /// <summary>Notes where in the ring a request's response lies that is not shown yet.</summary>
    public void Index(int slot, uint index) => Store(slot, Indexed | index);

    /// <summary>Forgets a request whose response was shown.</summary>
    public void Release(int slot) => Store(slot, Free);

    /// <summary>Forgets all requests.</summary>
    public void Clear()
    {
        for (int slot = 0; slot < Slots; slot++)
            Store(slot, Free);
    }

    /// <summary>Finds what a predecessor left.</summary>
    /// <param name="shown">The ring's <c>rsp_prod</c>: responses before it were shown.</param>
    /// <param name="slots">Slots of the ring, which had no more requests under way.</param>
    /// <returns>The slots of requests that are not answered, in ascending order. All others are free now.</returns>
    public int[] Settle(uint shown, int slots)
    {
        var unanswered = new List<int>();
        for (int slot = 0; slot < slots; slot++)
        {
            ulong word = Volatile.Read(ref *(ulong*)Record(slot));
            ulong kind = word & KindMask;
            if (kind == Taken || (kind == Indexed && !IsBefore((uint)word, shown)))
            {
                Store(slot, Taken);
                unanswered.Add(slot);
            }
            else if (kind != Free)
            {
                Store(slot, Free);
            }
        }

        return [.. unanswered];
    }

    /// <summary>Reads the copy of a request that <see cref="Settle"/> has found.</summary>
    public void Read<TRequest>(int slot, out TRequest request)
        where TRequest : unmanaged =>
        request = Unsafe.ReadUnaligned<TRequest>(Record(slot) + sizeof(ulong));

    /// <summary>The one way in which words change.</summary>
    protected virtual void Store(int slot, ulong word) => Volatile.Write(ref *(ulong*)Record(slot), word);

    // Indices wrap: the two are never further apart than the ring has slots.
    private static bool IsBefore(uint index, uint end) => (int)(end - index) > 0;

    // SAFETY: slots come from the engine's freelist, which has no more than the ring has slots, and no ring has more than there are records.
    private byte* Record(int slot) => _records + (slot * RecordLength);
}
