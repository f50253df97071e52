using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Native.Handles;
using Xen.Blkif.Native.Interop;

namespace Xen.Blkif.Native;

/// <summary>Granted pages by libxengnttab.</summary>
internal sealed unsafe class NativeGrantTable : IGrantTable, IDisposable
{
    private readonly GrantTableHandle _handle = GrantTableHandle.Open();

    // Held for as long as the table lives, so that a copy need not count references.
    private readonly nint _raw;

    /// <param name="maxGrants">Pages that may be mapped at once; null for what the kernel allows of itself.</param>
    public NativeGrantTable(int? maxGrants)
    {
        _raw = _handle.DangerousGetHandle();
        if (maxGrants is { } limit)
            Limit(limit);
    }

    /// <inheritdoc/>
    public IGrantMapping Map(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable)
    {
        nint address = TryMap(domain, references, writable);
        if (address == 0)
            throw NativeFailure.Of($"Grant references {string.Join(", ", references.ToArray())} of domain {domain} cannot be mapped");
        return new Mapping(_handle, address, references.Length);
    }

    /// <inheritdoc/>
    public IGrantMapping MapRing(DomainId domain, ReadOnlySpan<GrantReference> references, IEventChannel channel)
    {
        // The library can ask for the notification only with a mapping of one page. Kernels that know none map without.
        nint address = references.Length == 1 && channel is NativeEventChannel bound
            ? LibXenGnttab.MapGrantRefNotify(
                _raw, domain.Value, references[0].Value, LibXenGnttab.ProtRead | LibXenGnttab.ProtWrite, LibXenGnttab.ClearNoByte, bound.Port)
            : 0;
        return address != 0 ? new Mapping(_handle, address, references.Length) : Map(domain, references, writable: true);
    }

    /// <inheritdoc/>
    public nint TryMap(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable)
    {
        // SAFETY: a GrantReference is one uint; the library reads as many as it is told.
        fixed (GrantReference* first = references)
        {
            return LibXenGnttab.MapDomainGrantRefs(
                _raw, (uint)references.Length, domain.Value, (uint*)first, writable ? LibXenGnttab.ProtRead | LibXenGnttab.ProtWrite : LibXenGnttab.ProtRead);
        }
    }

    /// <inheritdoc/>
    public bool TryUnmap(nint address, int pages) => LibXenGnttab.Unmap(_raw, address, (uint)pages) == 0;

    /// <inheritdoc/>
    public bool Copy(Span<GrantCopySegment> segments)
    {
        // SAFETY: GrantCopySegment is laid out as the library's segment, which a test compares.
        fixed (GrantCopySegment* first = segments)
        {
            if (LibXenGnttab.GrantCopy(_raw, (uint)segments.Length, first) != 0)
            {
                foreach (ref GrantCopySegment segment in segments)
                    segment = segment.With(GrantStatus.GeneralError);
                return false;
            }
        }

        bool all = true;
        foreach (ref readonly GrantCopySegment segment in segments)
            all &= segment.Status == GrantStatus.Okay;
        return all;
    }

    public void Dispose() => _handle.Dispose();

    // To be called before anything is mapped.
    private void Limit(int maxGrants)
    {
        if (LibXenGnttab.SetMaxGrants(_raw, (uint)maxGrants) == 0)
            return;

        // Newer kernels have no limit for all mappings together, and do not know the call.
        int errno = Marshal.GetLastPInvokeError();
        if (errno is LibC.NoSuchIoctl or LibC.NoSuchCall)
            return;
        _handle.Dispose();
        throw NativeFailure.Of($"A limit of {maxGrants} mapped grants cannot be set", errno);
    }

    private sealed class Mapping : IGrantMapping
    {
        private readonly GrantTableHandle _table;
        private readonly int _pages;
        private int _unmapped;

        public Mapping(GrantTableHandle table, nint address, int pages)
        {
            _table = table;
            Address = address;
            _pages = pages;

            // The table outlives its mappings: closing it first would leave them mapped until the process ends.
            bool added = false;
            table.DangerousAddRef(ref added);
        }

        public nint Address { get; }

        public int Length => _pages * XenPage.Size;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _unmapped, 1) != 0)
                return;

            // All pages of the mapping at once: the library refuses to unmap a part.
            _ = LibXenGnttab.Unmap(_table.DangerousGetHandle(), Address, (uint)_pages);
            _table.DangerousRelease();
        }
    }
}
