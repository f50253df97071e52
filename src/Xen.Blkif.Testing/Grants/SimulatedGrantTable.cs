using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>The way of domain 0 to the pages that the guests of a <see cref="SimulatedXen"/> have granted to it.</summary>
/// <remarks>
/// Thread-safe. Statuses are those of Xen: <see cref="GrantStatus.BadDomain"/> for no such guest,
/// <see cref="GrantStatus.BadGrantReference"/> for a reference beyond the table, <see cref="GrantStatus.GeneralError"/> for an entry that
/// is empty, granted to another domain, or read-only where a write is asked for, and <see cref="GrantStatus.BadCopyArgument"/> for a piece
/// that is empty or leaves its page.
/// </remarks>
public sealed class SimulatedGrantTable : IGrantTable
{
    private readonly DomainId _self;
    private readonly SimulatedXenLimits _limits;
    private readonly RequestMappings _requestMappings = new();

    // Never changed once it is published: a copy looks guests up without a lock.
    private Dictionary<ushort, GuestGrants> _guests = [];
    private int _mappedPages;
    private long _maps, _copies, _copiedSegments, _copyFailures;

    internal SimulatedGrantTable(DomainId self, SimulatedXenLimits limits)
    {
        _self = self;
        _limits = limits;
    }

    /// <summary>Pages that are mapped now. A page that is mapped twice counts twice.</summary>
    public int MappedPages => Volatile.Read(ref _mappedPages); // Acquire: no later read of the caller moves before this one.

    /// <summary>Calls of <see cref="Map"/>, <see cref="MapRing"/> and <see cref="TryMap"/> that succeeded.</summary>
    public long Maps => Interlocked.Read(ref _maps); // Whole also where a process has 32 bits, as the three below.

    /// <summary>Calls of <see cref="Copy"/>.</summary>
    public long Copies => Interlocked.Read(ref _copies);

    /// <summary>Pieces that were copied.</summary>
    public long CopiedSegments => Interlocked.Read(ref _copiedSegments);

    /// <summary>Pieces that were refused.</summary>
    public long CopyFailures => Interlocked.Read(ref _copyFailures);

    /// <summary>
    /// Asked for each page that is to be mapped: <see cref="GrantStatus.Okay"/> lets it pass, anything else fails the whole mapping.
    /// </summary>
    public Func<DomainId, GrantReference, GrantStatus>? MapFault { get; set; }

    /// <summary>
    /// Asked for each page that <see cref="TryUnmap"/> is to unmap: <see cref="GrantStatus.Okay"/> lets it pass, anything else fails the whole
    /// call, which can be made again.
    /// </summary>
    public Func<DomainId, GrantReference, GrantStatus>? UnmapFault { get; set; }

    /// <summary>
    /// Asked for each piece that is to be copied: <see cref="GrantStatus.Okay"/> lets it pass, anything else becomes its status.
    /// </summary>
    public Func<DomainId, GrantReference, GrantStatus>? CopyFault { get; set; }

    /// <inheritdoc/>
    public IGrantMapping Map(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable)
    {
        var address = MapPages(domain, references, writable, out var guest, out var refused, out var status);
        if (address != 0)
            return new SimulatedGrantMapping(this, guest!, references.ToArray(), address);
        throw status == GrantStatus.NoDeviceSpace
            ? new HypervisorException($"{references.Length} pages of domain {domain} cannot be mapped: the limit is {_limits.MappedPages} pages in all.")
            : GuestGrants.Refusal(domain, refused, status);
    }

    /// <inheritdoc/>
    public nint TryMap(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable)
    {
        try
        {
            var address = MapPages(domain, references, writable, out var guest, out _, out _);
            if (address != 0)
                _requestMappings.Add(address, guest!, references);
            return address;
        }
        catch (HypervisorException)
        {
            // The system has no room for the mapping.
            return 0;
        }
    }

    /// <inheritdoc/>
    public bool TryUnmap(nint address, int pages)
    {
        var mapping = _requestMappings.Take(address, pages, UnmapFault);
        if (mapping is null)
            return false;

        mapping.Guest.Unmap(address, mapping.References);
        Unmapped(pages);
        _requestMappings.Recycle(mapping);
        return true;
    }

    /// <inheritdoc/>
    public IGrantMapping MapRing(DomainId domain, ReadOnlySpan<GrantReference> references, IEventChannel channel) =>
        new NotifyingMapping(Map(domain, references, writable: true), channel);

    /// <inheritdoc/>
    public bool Copy(Span<GrantCopySegment> segments)
    {
        var guests = Guests();
        var fault = CopyFault;
        var failures = 0;
        GuestGrants? guest = null;
        foreach (ref var segment in segments)
        {
            var domain = segment.Domain;
            var status = guest?.Domain == domain || guests.TryGetValue(domain.Value, out guest)
                ? CopyOne(guest!, segment, fault)
                : GrantStatus.BadDomain;
            segment = segment.With(status);
            if (status != GrantStatus.Okay)
                failures++;
        }

        // Counts from many threads; they order nothing.
        _ = Interlocked.Increment(ref _copies);
        _ = Interlocked.Add(ref _copiedSegments, segments.Length - failures);
        if (failures != 0)
            _ = Interlocked.Add(ref _copyFailures, failures);
        return failures == 0;
    }

    /// <summary>Under the lock of the <see cref="SimulatedXen"/>, as is <see cref="Remove"/>.</summary>
    internal void Add(GuestGrants guest)
    {
        var guests = new Dictionary<ushort, GuestGrants>(_guests) { [guest.Domain.Value] = guest };
        // Release: the dictionary is filled before it is seen. Pairs with the read in Guests.
        Volatile.Write(ref _guests, guests);
    }

    internal void Remove(DomainId domain)
    {
        var guest = _guests[domain.Value];
        var guests = new Dictionary<ushort, GuestGrants>(_guests);
        _ = guests.Remove(domain.Value);
        // Release: as in Add.
        Volatile.Write(ref _guests, guests);
        guest.Die();
    }

    // Interlocked: pairs with the count in Map, which other threads hold against the limit.
    internal void Unmapped(int pages) => _ = Interlocked.Add(ref _mappedPages, -pages);

    private GrantStatus CopyOne(GuestGrants guest, in GrantCopySegment segment, Func<DomainId, GrantReference, GrantStatus>? fault)
    {
        var status = fault?.Invoke(guest.Domain, segment.Reference) ?? GrantStatus.Okay;
        if (status != GrantStatus.Okay)
            return status;
        status = guest.Check(segment.Reference, _self, segment.ToGuest, out var page);
        if (status != GrantStatus.Okay)
            return status;
        if (segment.Length == 0 || segment.Offset + segment.Length > XenPage.Size)
            return GrantStatus.BadCopyArgument;
        if (segment.ToGuest)
            guest.Memory.CopyIn(page, segment.Offset, segment.LocalAddress, segment.Length);
        else
            guest.Memory.CopyOut(page, segment.Offset, segment.LocalAddress, segment.Length);
        return GrantStatus.Okay;
    }

    private nint MapPages(
        DomainId domain, ReadOnlySpan<GrantReference> references, bool writable, out GuestGrants? guest, out GrantReference refused, out GrantStatus status)
    {
        if (references.IsEmpty)
            throw new ArgumentException("At least one page is mapped.", nameof(references));
        refused = references[0];
        status = GrantStatus.BadDomain;
        if (!Guests().TryGetValue(domain.Value, out guest))
            return 0;

        // Interlocked: the pages are counted before they are mapped, so that two threads cannot both pass the limit with the last page.
        var total = Interlocked.Add(ref _mappedPages, references.Length);
        status = GrantStatus.NoDeviceSpace;
        nint address = 0;
        try
        {
            if (total <= _limits.MappedPages)
                address = guest.TryMap(references, _self, writable, MapFault, out refused, out status);
        }
        finally
        {
            // Counts from many threads, the second taking back what was counted above; they order nothing.
            _ = address != 0 ? Interlocked.Increment(ref _maps) : Interlocked.Add(ref _mappedPages, -references.Length);
        }

        return address;
    }

    // Acquire: what is in the dictionary is read after the reference to it. Pairs with the writes in Add and Remove.
    private Dictionary<ushort, GuestGrants> Guests() => Volatile.Read(ref _guests);
}
