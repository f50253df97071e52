using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>Guest memory as one native allocation, for systems without memfd: a mapping is the guest's own address.</summary>
/// <remarks>
/// So only pages that follow each other can be mapped together, a read-only mapping does not stop a write, and an unmapped address stays
/// valid.
/// </remarks>
internal sealed class PlainGuestMemory : GuestMemory
{
    private nint _allocation;

    public PlainGuestMemory(int pages) : base(pages)
    {
        // One page more than asked for, so that the first can begin at a multiple of the page size.
        _allocation = Marshal.AllocHGlobal(((nint)pages + 1) * XenPage.Size);
        Address = (_allocation + XenPage.Size - 1) & -XenPage.Size;
        Clear(0, pages);
    }

    public override nint Map(ReadOnlySpan<int> pages, bool writable)
    {
        for (var i = 1; i < pages.Length; i++)
        {
            if (pages[i] != pages[0] + i)
                throw new HypervisorException("On this system several pages are mapped together only where the guest has them one after the other.");
        }

        return AddressOf(pages[0]);
    }

    public override void Unmap(nint address, int pages)
    {
    }

    public override void Discard()
    {
    }

    public override void Dispose()
    {
        Marshal.FreeHGlobal(_allocation);
        _allocation = 0;
        Address = 0;
    }
}
