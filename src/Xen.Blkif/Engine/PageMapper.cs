using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Engine;

/// <summary>Maps pages of one guest for the requests of one queue, and unmaps them.</summary>
/// <param name="grants">The grant table.</param>
/// <param name="domain">The guest.</param>
/// <param name="log">Hears of pages that cannot be unmapped.</param>
internal sealed unsafe class PageMapper(IGrantTable grants, DomainId domain, EngineLog log)
{
    private readonly GrantReference[] _references = new GrantReference[RequestLimits.IndirectSegmentsCeiling];

    /// <summary>Maps a page.</summary>
    /// <returns>Its address, or 0 where that fails.</returns>
    public nint TryMap(GrantReference reference, bool writable)
    {
        _references[0] = reference;
        return grants.TryMap(domain, _references.AsSpan(0, 1), writable);
    }

    /// <summary>Maps the pages of segments with one call, one behind the other, whether they differ or not.</summary>
    /// <returns>The address of the first, or 0 where one of them cannot be mapped; then none is.</returns>
    public nint TryMap(BlkifSegment* segments, int count, bool writable)
    {
        for (int i = 0; i < count; i++)
            _references[i] = segments[i].Reference;
        return grants.TryMap(domain, _references.AsSpan(0, count), writable);
    }

    /// <summary>Unmaps what one call has mapped.</summary>
    public void Unmap(nint address, int pages)
    {
        if (!grants.TryUnmap(address, pages))
            log.NotUnmapped(pages);
    }
}
