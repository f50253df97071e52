using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Tests.Security;

/// <summary>A grant table that shows each piece of a copy to a test before it is copied.</summary>
internal sealed class CheckedGrants(IGrantTable real, Action<GrantCopySegment> copying) : IGrantTable
{
    public IGrantMapping Map(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable) => real.Map(domain, references, writable);

    public IGrantMapping MapRing(DomainId domain, ReadOnlySpan<GrantReference> references, IEventChannel channel) => real.MapRing(domain, references, channel);

    public nint TryMap(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable) => real.TryMap(domain, references, writable);

    public bool TryUnmap(nint address, int pages) => real.TryUnmap(address, pages);

    public bool Copy(Span<GrantCopySegment> segments)
    {
        Assert.That(segments.Length, Is.Positive, "a copy of nothing");
        foreach (GrantCopySegment segment in segments)
            copying(segment);
        return real.Copy(segments);
    }
}
