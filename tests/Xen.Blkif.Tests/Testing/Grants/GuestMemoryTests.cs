using NUnit.Framework;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Testing.Grants;

internal sealed class GuestMemoryTests
{
    [Test]
    public void Pages_are_consecutive_and_zero_even_when_they_were_used_before([Values] bool plain)
    {
        using var xen = plain ? new SimulatedXen(pages => new PlainGuestMemory(pages)) : new SimulatedXen();
        var guest = xen.CreateGuest(1, 4);
        var first = guest.AllocatePages(3);
        NativePages.At(guest.AddressOf(first), 3 * 4096).Fill(0xFF);
        guest.FreePages(first, 3);

        var again = guest.AllocatePages(4);

        Assert.That(again, Is.Zero);
        Assert.That(guest.AddressOf(3) - guest.AddressOf(0), Is.EqualTo((nint)(3 * 4096)));
        Assert.That((long)guest.AddressOf(0) % 4096, Is.Zero);
        Assert.That(NativePages.At(guest.AddressOf(0), 4 * 4096).Count((byte)0), Is.EqualTo(4 * 4096));
    }

    [Test]
    public void More_pages_than_there_are_in_a_row_are_refused()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(1, 4);
        _ = guest.AllocatePages(4);
        guest.FreePages(0, 1);
        guest.FreePages(2, 2);

        Assert.That(() => guest.AllocatePages(3), Throws.TypeOf<HypervisorException>());
        Assert.That(guest.AllocatePages(2), Is.EqualTo(2));
        Assert.That(() => guest.FreePages(0, 1), Throws.ArgumentException);
    }

    [Test]
    public void Grants_begin_behind_the_reserved_entries_and_end_with_the_table()
    {
        using var xen = new SimulatedXen();
        xen.Limits.GrantEntries = 10;
        var guest = xen.CreateGuest(1, 4);

        Assert.That(new[] { guest.Grant(0, 0, writable: true).Value, guest.Grant(0, 0, writable: true).Value }, Is.EqualTo([8u, 9u]));
        Assert.That(() => guest.Grant(0, 0, writable: true), Throws.TypeOf<HypervisorException>());
        Assert.That(guest.TryRevoke(new GrantReference(8)), Is.True);
        Assert.That(guest.Grant(1, 0, writable: true).Value, Is.EqualTo(8));
    }

    [Test]
    public void Threads_that_grant_map_copy_and_revoke_leave_nothing_behind()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(1, 64);
        Parallel.For(0, 4, thread =>
        {
            using var local = new NativePages(1);
            for (var i = 0; i < 500; i++)
            {
                var reference = guest.Grant(thread, 0, writable: true);
                using (var mapping = xen.Grants.Map(1, [reference], writable: true))
                {
                    NativePages.At(mapping.Address, 1)[0] = (byte)i;
                    GrantCopySegment[] segments = [GrantCopySegment.OutOfGuest(local.Address, 1, reference, 0, 1)];
                    Assert.That(xen.Grants.Copy(segments), Is.True);
                    Assert.That(local.Bytes[0], Is.EqualTo((byte)i));
                }

                Assert.That(guest.TryRevoke(reference), Is.True);
            }
        });

        Assert.That((xen.Grants.MappedPages, xen.Grants.Maps, xen.Grants.Copies, guest.GrantedPages), Is.EqualTo((0, 2000L, 2000L, 0)));
    }
}
