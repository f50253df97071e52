using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>Which pages of a guest's memory are in use by the guest.</summary>
internal sealed class GuestPages(DomainId domain, GuestMemory memory)
{
    private readonly bool[] _used = new bool[memory.Pages];

    public nint AddressOf(int page)
    {
        if ((uint)page >= (uint)_used.Length)
            throw new ArgumentOutOfRangeException(nameof(page), page, $"Domain {domain} has the pages 0 to {_used.Length - 1}.");
        return memory.AddressOf(page);
    }

    public int Allocate(int count)
    {
        if (count < 1)
            throw new ArgumentOutOfRangeException(nameof(count), count, "At least one page is allocated.");
        lock (_used)
        {
            var free = 0;
            for (var page = 0; page < _used.Length; page++)
            {
                free = _used[page] ? 0 : free + 1;
                if (free < count)
                    continue;
                var first = page - count + 1;
                Mark(first, count, used: true);
                memory.Clear(first, count);
                return first;
            }
        }

        throw new HypervisorException($"Domain {domain} has no {count} free pages in a row.");
    }

    public void Free(int page, int count)
    {
        if (count < 1 || page < 0 || page > _used.Length - count)
            throw new ArgumentOutOfRangeException(nameof(page), page, $"Domain {domain} has the pages 0 to {_used.Length - 1}.");
        lock (_used)
        {
            if (Array.IndexOf(_used, false, page, count) >= 0)
                throw new ArgumentException($"Not all of the {count} pages from {page} on are allocated.", nameof(page));
            Mark(page, count, used: false);
        }
    }

    private void Mark(int page, int count, bool used)
    {
        for (var i = page; i < page + count; i++)
            _used[i] = used;
    }
}
