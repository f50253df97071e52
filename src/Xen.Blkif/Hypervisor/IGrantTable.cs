namespace Xen.Blkif.Hypervisor;

/// <summary>The way to pages that other domains have granted to this one.</summary>
/// <remarks>Thread-safe: every queue of every device uses the same table.</remarks>
public interface IGrantTable
{
    /// <summary>Maps granted pages of one domain, in the order of the references, at consecutive addresses.</summary>
    /// <param name="domain">The domain that granted them.</param>
    /// <param name="references">One reference a page; at least one.</param>
    /// <param name="writable">Whether this domain may write to the pages; refused where the grant is read-only.</param>
    /// <returns>The mapping; disposing it unmaps all of its pages.</returns>
    /// <exception cref="HypervisorException">A reference is not valid, or a limit is reached. Nothing stays mapped.</exception>
    IGrantMapping Map(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable);

    /// <summary>Maps the pages of a ring, writable, and has its other end notified when they are unmapped.</summary>
    /// <param name="domain">The domain that granted them.</param>
    /// <param name="references">One reference a page; at least one.</param>
    /// <param name="channel">
    /// Notified when the mapping goes: also where the process dies, if the host can do that. The frontend then finds the responses that the
    /// process had put into the ring but not yet told of.
    /// </param>
    /// <returns>The mapping; disposing it unmaps all of its pages.</returns>
    /// <exception cref="HypervisorException">As in <see cref="Map"/>.</exception>
    IGrantMapping MapRing(DomainId domain, ReadOnlySpan<GrantReference> references, IEventChannel channel);

    /// <summary>Maps granted pages as <see cref="Map"/> does, for one request: on its path, so that it does not throw and does not allocate.</summary>
    /// <param name="domain">The domain that granted them.</param>
    /// <param name="references">One reference a page, 1 to 256; the same may be there more than once.</param>
    /// <param name="writable">Whether this domain may write to the pages; refused where a grant is read-only.</param>
    /// <returns>The address of the first byte of the first page, or 0 where one of them cannot be mapped; then none is.</returns>
    nint TryMap(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable);

    /// <summary>Unmaps what one call of <see cref="TryMap"/> has mapped. A later access to the addresses ends the process.</summary>
    /// <param name="address">What that call returned.</param>
    /// <param name="pages">As many as that call was given.</param>
    /// <returns>False where the hypervisor refuses: then they stay mapped.</returns>
    bool TryUnmap(nint address, int pages);

    /// <summary>Copies between local memory and granted pages, without mapping them.</summary>
    /// <param name="segments">The pieces; each gets its own <see cref="GrantCopySegment.Status"/>.</param>
    /// <returns>Whether every piece was copied. A piece that fails leaves the others alone.</returns>
    /// <remarks>On the path of every request: does not throw and does not allocate. Where the call fails as a whole, every piece says so.</remarks>
    bool Copy(Span<GrantCopySegment> segments);
}

/// <summary>Granted pages, mapped at consecutive addresses.</summary>
/// <remarks>Disposing unmaps: a later access to the addresses ends the process, so the owner disposes only when no thread can reach them.</remarks>
public interface IGrantMapping : IDisposable
{
    /// <summary>The address of the first byte of the first page.</summary>
    nint Address { get; }

    /// <summary>Bytes mapped: pages times 4096.</summary>
    int Length { get; }
}
