using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>The grant table of one guest, in the layout that lets a copy check an entry with one read.</summary>
/// <remarks>Granting, revoking, mapping and unmapping take a lock; <see cref="Check"/> takes none and may run beside all of them.</remarks>
internal sealed class GuestGrants
{
    // Xen keeps these entries for the console, the store and other rings of its own (GNTTAB_NR_RESERVED_ENTRIES).
    private const int Reserved = 8;

    // An entry: bit 0 says that the rest means something, bit 1 that it is read-only; the domain is in bits 16 to 31, the page in 32 to 63.
    private const long Permit = 1, ReadOnly = 2;

    private readonly long[] _entries;
    private readonly int[] _mappings;
    private readonly Stack<int> _free;
    private readonly GuestMemory _memory;
    private int _mappedPages;
    private bool _dead;

    public GuestGrants(DomainId domain, GuestMemory memory, int entries)
    {
        Domain = domain;
        _memory = memory;
        _entries = new long[entries];
        _mappings = new int[entries];
        _free = new Stack<int>(entries);
        for (var i = entries - 1; i >= Reserved; i--)
            _free.Push(i);
    }

    public DomainId Domain { get; }

    public GuestMemory Memory => _memory;

    public int Granted
    {
        get
        {
            lock (_free)
                return Math.Max(0, _entries.Length - Reserved) - _free.Count;
        }
    }

    public GrantReference Grant(int page, DomainId to, bool writable)
    {
        if ((uint)page >= (uint)_memory.Pages)
            throw new ArgumentOutOfRangeException(nameof(page), page, $"Domain {Domain} has the pages 0 to {_memory.Pages - 1}.");
        lock (_free)
        {
            if (_free.Count == 0)
                throw new HypervisorException($"The grant table of domain {Domain} is full: it has {_entries.Length} entries.");
            var index = _free.Pop();
            var entry = Permit | (writable ? 0 : ReadOnly) | ((long)to.Value << 16) | ((long)page << 32);
            // Release: what the guest wrote to the page is visible before the grant is. Pairs with the read in Check.
            Volatile.Write(ref _entries[index], entry);
            return new GrantReference((uint)index);
        }
    }

    public bool TryRevoke(GrantReference reference)
    {
        lock (_free)
        {
            if (reference.Value >= _entries.Length || _entries[reference.Value] == 0)
                throw new HypervisorException($"Domain {Domain} has granted nothing under the reference {reference}.");
            if (_mappings[reference.Value] != 0)
                return false;
            // Release: reads and writes of this thread stay before the end of the grant. Pairs with the read in Check, which then refuses.
            Volatile.Write(ref _entries[reference.Value], 0);
            _free.Push((int)reference.Value);
            return true;
        }
    }

    /// <summary>Says, as Xen does, whether a domain may reach a page, and which page it is.</summary>
    public GrantStatus Check(GrantReference reference, DomainId by, bool write, out int page)
    {
        page = 0;
        if (reference.Value >= (uint)_entries.Length)
            return GrantStatus.BadGrantReference;
        // Acquire: no byte of the page is read before the grant of it is seen. Pairs with the writes in Grant and TryRevoke.
        var entry = Volatile.Read(ref _entries[reference.Value]);
        page = (int)(entry >> 32);
        // Xen says the same of an entry that is empty, another domain's, or read-only where a write is asked for (_set_status_v1).
        if ((entry & Permit) == 0 || (ushort)(entry >> 16) != by.Value || (write && (entry & ReadOnly) != 0))
            return GrantStatus.GeneralError;
        return GrantStatus.Okay;
    }

    /// <summary>Maps, and allocates nothing.</summary>
    /// <returns>The address, or 0 where one of the references cannot be mapped: then that one and the reason.</returns>
    public nint TryMap(
        ReadOnlySpan<GrantReference> references,
        DomainId by,
        bool writable,
        Func<DomainId, GrantReference, GrantStatus>? fault,
        out GrantReference refused,
        out GrantStatus status)
    {
        Span<int> pages = stackalloc int[references.Length];
        refused = references[0];
        lock (_free)
        {
            // Asked inside the lock: a guest that died since it was looked up must not be left mapped with its memory given back.
            status = _dead ? GrantStatus.BadDomain : GrantStatus.Okay;
            for (var i = 0; i < pages.Length && status == GrantStatus.Okay; i++)
            {
                refused = references[i];
                status = fault?.Invoke(Domain, refused) ?? GrantStatus.Okay;
                if (status == GrantStatus.Okay)
                    status = Check(refused, by, writable, out pages[i]);
            }

            if (status != GrantStatus.Okay)
                return 0;

            var address = _memory.Map(pages, writable);
            foreach (var reference in references)
                _mappings[reference.Value]++;
            _mappedPages += pages.Length;
            return address;
        }
    }

    public void Unmap(nint address, ReadOnlySpan<GrantReference> references)
    {
        lock (_free)
        {
            _memory.Unmap(address, references.Length);
            foreach (var reference in references)
                _mappings[reference.Value]--;
            _mappedPages -= references.Length;
            if (_dead && _mappedPages == 0)
                _memory.Discard();
        }
    }

    /// <summary>Maps nothing any more; the memory goes when the last mapping has gone.</summary>
    public void Die()
    {
        lock (_free)
        {
            _dead = true;
            if (_mappedPages == 0)
                _memory.Discard();
        }
    }

    public static HypervisorException Refusal(DomainId domain, GrantReference reference, GrantStatus status) =>
        new($"The grant reference {reference} of domain {domain} cannot be mapped: {status}.");
}
