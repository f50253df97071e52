using System.Runtime.CompilerServices;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Native.Tests;

/// <summary>A piece of a grant copy lies in memory as <c>xengnttab.h</c> says: 64-bit source and destination, length, flags, status.</summary>
internal sealed class GrantCopyLayoutTests
{
    [Test]
    public void A_piece_into_the_guest_names_the_page_as_destination()
    {
        byte[] bytes = BytesOf(GrantCopySegment.IntoGuest(unchecked((nint)0x1122334455667788), 0x0506, new GrantReference(0x0A0B0C0D), 0x0E0F, 0x0102));
        Assert.That(bytes, Is.EqualTo(new byte[]
        {
            0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, // source.virt
            0x0D, 0x0C, 0x0B, 0x0A, 0x0F, 0x0E, 0x06, 0x05, // dest.foreign: ref, offset, domid
            0x02, 0x01,                                     // len
            0x02, 0x00,                                     // flags: GNTCOPY_dest_gref
            0xFF, 0xFF, 0x00, 0x00,                         // status: a general error until a copy says otherwise; padding
        }));
    }

    [Test]
    public void A_piece_out_of_the_guest_names_the_page_as_source()
    {
        byte[] bytes = BytesOf(GrantCopySegment.OutOfGuest(1, 2, new GrantReference(3), 4, 5).With(GrantStatus.TryAgain));
        Assert.That(bytes, Is.EqualTo(new byte[] { 3, 0, 0, 0, 4, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 1, 0, 0xF4, 0xFF, 0, 0 }));
    }

    private static byte[] BytesOf(GrantCopySegment segment)
    {
        byte[] bytes = new byte[Unsafe.SizeOf<GrantCopySegment>()];
        Unsafe.WriteUnaligned(ref bytes[0], segment);
        return bytes;
    }
}
