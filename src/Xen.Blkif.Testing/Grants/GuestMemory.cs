using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>The memory of one guest: where the guest sees it, and the ways another domain reaches pages of it.</summary>
/// <remarks>The only type that dereferences addresses. Page numbers are checked by the callers, once, when a page is granted.</remarks>
internal abstract class GuestMemory(int pages) : IDisposable
{
    public int Pages { get; } = pages;

    /// <summary>The guest's own address of page 0; all pages follow.</summary>
    protected nint Address { get; set; }

    /// <summary>The memory that shows most mistakes on this machine.</summary>
    public static GuestMemory Create(int pages) =>
        MemfdGuestMemory.IsSupported ? new MemfdGuestMemory(pages) : new PlainGuestMemory(pages);

    public nint AddressOf(int page) => Address + (nint)page * XenPage.Size;

    /// <summary>Makes pages visible at consecutive addresses and returns the first, or throws and maps nothing.</summary>
    public abstract nint Map(ReadOnlySpan<int> pages, bool writable);

    public abstract void Unmap(nint address, int pages);

    /// <summary>Gives the memory back but not the addresses: they stay valid and may read as zeros. Nothing is mapped afterwards.</summary>
    public abstract void Discard();

    public abstract void Dispose();

    public unsafe void Clear(int page, int count)
    {
        // SAFETY: the caller has checked that the pages are in the memory, and the addresses live as long as this object.
        for (var i = 0; i < count; i++)
            new Span<byte>((void*)AddressOf(page + i), XenPage.Size).Clear();
    }

    public unsafe void CopyIn(int page, int offset, nint local, int length)
    {
        // SAFETY: offset and length were checked to stay in the page, the page number when it was granted;
        // the local side is the word of the caller, as it is with a hypervisor.
        Buffer.MemoryCopy((void*)local, (void*)(AddressOf(page) + offset), XenPage.Size - offset, length);
    }

    public unsafe void CopyOut(int page, int offset, nint local, int length)
    {
        // SAFETY: as in CopyIn, with the sides exchanged.
        Buffer.MemoryCopy((void*)(AddressOf(page) + offset), (void*)local, length, length);
    }
}
