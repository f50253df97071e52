using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>What is mapped for requests, by address. Allocates only where there is more at once than there ever was.</summary>
/// <remarks>Thread-safe.</remarks>
internal sealed class RequestMappings
{
    private readonly Dictionary<nint, Mapping> _mapped = [];
    private readonly Stack<Mapping> _unused = new();

    public void Add(nint address, GuestGrants guest, ReadOnlySpan<GrantReference> references)
    {
        lock (_mapped)
        {
            var mapping = _unused.Count > 0 ? _unused.Pop() : new Mapping();
            mapping.Set(guest, references);

            // Where a mapping is the guest's own address, the same page may be mapped many times.
            mapping.Below = _mapped.TryGetValue(address, out var below) ? below : null;
            _mapped[address] = mapping;
        }
    }

    /// <summary>Takes a mapping out, to be unmapped.</summary>
    /// <returns>Null where there is none with so many pages, or one of them is to stay mapped.</returns>
    public Mapping? Take(nint address, int pages, Func<DomainId, GrantReference, GrantStatus>? fault)
    {
        lock (_mapped)
        {
            if (!_mapped.TryGetValue(address, out var mapping) || mapping.References.Length != pages)
                return null;
            foreach (var reference in mapping.References)
            {
                if (fault is not null && fault(mapping.Guest.Domain, reference) != GrantStatus.Okay)
                    return null;
            }

            if (mapping.Below is { } below)
                _mapped[address] = below;
            else
                _ = _mapped.Remove(address);
            return mapping;
        }
    }

    public void Recycle(Mapping mapping)
    {
        lock (_mapped)
            _unused.Push(mapping);
    }

    internal sealed class Mapping
    {
        private GrantReference[] _references = [];
        private int _count;

        public GuestGrants Guest { get; private set; } = null!;

        public Mapping? Below { get; set; }

        public ReadOnlySpan<GrantReference> References => _references.AsSpan(0, _count);

        public void Set(GuestGrants guest, ReadOnlySpan<GrantReference> references)
        {
            Guest = guest;
            _count = references.Length;
            if (_references.Length < _count)
                _references = new GrantReference[_count];
            references.CopyTo(_references);
        }
    }
}
