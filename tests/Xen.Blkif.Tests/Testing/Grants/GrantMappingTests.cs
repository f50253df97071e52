using NUnit.Framework;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Testing.Grants;

internal sealed class GrantMappingTests
{
    private static readonly DomainId GuestId = 5;

    [Test]
    public void A_mapping_shows_the_pages_of_the_guest_in_the_order_of_the_references()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(GuestId, 16);
        int[] pages = [3, 1, 2, 7, 1];
        for (var page = 0; page < 16; page++)
            NativePages.At(guest.AddressOf(page), 4096).Fill((byte)page);

        using var mapping = xen.Grants.Map(GuestId, [.. pages.Select(page => guest.Grant(page, 0, writable: true))], writable: true);

        Assert.That(mapping.Length, Is.EqualTo(5 * 4096));
        for (var i = 0; i < pages.Length; i++)
            Assert.That(NativePages.At(mapping.Address + i * 4096, 4096).Count((byte)pages[i]), Is.EqualTo(4096));
        NativePages.At(mapping.Address + 3 * 4096, 1)[0] = 99;
        Assert.That(NativePages.At(guest.AddressOf(7), 1)[0], Is.EqualTo(99));
        NativePages.At(guest.AddressOf(1), 1)[0] = 98;
        Assert.That(NativePages.At(mapping.Address + 4 * 4096, 1)[0], Is.EqualTo(98));
    }

    [Test, Platform("Linux")]
    public void A_mapping_has_its_own_addresses_between_guards_and_gives_them_back()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(GuestId, 16);
        GrantReference[] references = [guest.Grant(2, 0, writable: true), guest.Grant(9, 0, writable: true)];

        var readable = xen.Grants.Map(GuestId, references, writable: false);
        var writable = xen.Grants.Map(GuestId, references, writable: true);

        Assert.That(readable.Address, Is.Not.EqualTo(guest.AddressOf(2)));
        Assert.That(Access(readable, -1, 0, 4096, 8191, 8192), Is.EqualTo(["--", "r-", "r-", "r-", "--"]));
        Assert.That(Access(writable, -1, 0, 4096, 8191, 8192), Is.EqualTo(["--", "rw", "rw", "rw", "--"]));
        readable.Dispose();
        readable.Dispose();
        writable.Dispose();
        Assert.That(xen.Grants.MappedPages, Is.Zero);
    }

    [Test]
    public void A_ring_that_is_unmapped_notifies_its_other_end_once()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(GuestId, 16);
        using var guestEnd = guest.AllocateUnbound(0);
        using var channel = xen.Events.Bind(GuestId, guestEnd.Port);
        var ring = xen.Grants.MapRing(GuestId, [guest.Grant(2, 0, writable: true)], channel);
        Assert.That(guestEnd.Wait(0), Is.False, "mapped");

        ring.Dispose();
        ring.Dispose();

        Assert.That(guestEnd.Wait(0), Is.True, "unmapped");
        Assert.That(channel.Notifications, Is.EqualTo(1));
        Assert.That(xen.Grants.MappedPages, Is.Zero);
    }

    [Test, Platform("Linux"), NonParallelizable]
    public void An_unmapped_address_faults()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(GuestId, 16);
        var mapping = xen.Grants.Map(GuestId, [guest.Grant(2, 0, writable: true)], writable: true);

        mapping.Dispose();

        Assert.That(AddressSpace.AccessAt(mapping.Address), Is.Null);
    }

    [Test]
    public void A_grant_is_not_revoked_while_it_is_mapped()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(GuestId, 16);
        var reference = guest.Grant(2, 0, writable: true);
        var first = xen.Grants.Map(GuestId, [reference, reference], writable: true);
        var second = xen.Grants.Map(GuestId, [reference], writable: false);

        Assert.That(xen.Grants.MappedPages, Is.EqualTo(3));
        Assert.That(guest.TryRevoke(reference), Is.False);
        first.Dispose();
        Assert.That(guest.TryRevoke(reference), Is.False);
        second.Dispose();
        Assert.That(guest.TryRevoke(reference), Is.True);
        Assert.That(guest.GrantedPages, Is.Zero);
        Assert.That(() => guest.TryRevoke(reference), Throws.TypeOf<HypervisorException>().With.Message.Contains($"{reference}"));
    }

    [Test]
    public void A_mapping_that_fails_at_any_position_leaves_nothing_mapped([Range(0, 3)] int position, [Values] bool onDemand)
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(GuestId, 16);
        var references = Enumerable.Range(0, 4).Select(page => guest.Grant(page, 0, writable: true)).ToArray();
        if (onDemand)
            xen.Grants.MapFault = (_, reference) => reference == references[position] ? GrantStatus.TryAgain : GrantStatus.Okay;
        else
            Assert.That(guest.TryRevoke(references[position]), Is.True);

        Assert.That(
            () => xen.Grants.Map(GuestId, references, writable: true),
            Throws.TypeOf<HypervisorException>().With.Message.Contains($"{references[position]}").And.Message.Contains("domain 5"));
        Assert.That((xen.Grants.MappedPages, xen.Grants.Maps), Is.EqualTo((0, 0L)));
        Assert.That(references.Where((_, i) => onDemand || i != position).Select(guest.TryRevoke), Is.All.True);
    }

    [Test]
    public void A_read_only_grant_maps_read_only_alone()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(GuestId, 16);
        var reference = guest.Grant(2, 0, writable: false);

        Assert.That(() => xen.Grants.Map(GuestId, [reference], writable: true), Throws.TypeOf<HypervisorException>());
        using var mapping = xen.Grants.Map(GuestId, [reference], writable: false);
        Assert.That(mapping.Length, Is.EqualTo(4096));
    }

    [Test]
    public void More_pages_than_the_limit_are_not_mapped()
    {
        using var xen = new SimulatedXen();
        xen.Limits.MappedPages = 3;
        var guest = xen.CreateGuest(GuestId, 16);
        GrantReference[] references = [guest.Grant(0, 0, writable: true), guest.Grant(1, 0, writable: true)];

        using (xen.Grants.Map(GuestId, references, writable: true))
        {
            Assert.That(
                () => xen.Grants.Map(GuestId, references, writable: true),
                Throws.TypeOf<HypervisorException>().With.Message.Contains("the limit is 3 pages"));
            Assert.That(xen.Grants.MappedPages, Is.EqualTo(2));
        }

        using var again = xen.Grants.Map(GuestId, references, writable: true);
        Assert.That(xen.Grants.Maps, Is.EqualTo(2));
    }

    [Test]
    public void What_is_mapped_outlives_the_guest_until_it_is_unmapped()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(GuestId, 16);
        var reference = guest.Grant(2, 0, writable: true);
        NativePages.At(guest.AddressOf(2), 1)[0] = 42;
        var mapping = xen.Grants.Map(GuestId, [reference], writable: true);

        xen.DestroyGuest(GuestId);

        Assert.That(NativePages.At(mapping.Address, 1)[0], Is.EqualTo(42));
        Assert.That(xen.Grants.MappedPages, Is.EqualTo(1));
        Assert.That(
            () => xen.Grants.Map(GuestId, [reference], writable: true),
            Throws.TypeOf<HypervisorException>().With.Message.Contains("BadDomain"));
        mapping.Dispose();
        Assert.That(xen.Grants.MappedPages, Is.Zero);
    }

    [Test]
    public void Memory_without_aliases_maps_pages_that_follow_each_other_and_says_so_of_others()
    {
        using var xen = new SimulatedXen(pages => new PlainGuestMemory(pages));
        var guest = xen.CreateGuest(GuestId, 16);
        GrantReference[] references = [guest.Grant(4, 0, writable: true), guest.Grant(5, 0, writable: true)];

        using (var mapping = xen.Grants.Map(GuestId, references, writable: true))
            Assert.That(mapping.Address, Is.EqualTo(guest.AddressOf(4)));
        Assert.That(
            () => xen.Grants.Map(GuestId, [references[1], references[0]], writable: true),
            Throws.TypeOf<HypervisorException>().With.Message.Contains("one after the other"));
        Assert.That(xen.Grants.MappedPages, Is.Zero);
    }

    private static string?[] Access(IGrantMapping mapping, params int[] offsets) =>
        [.. offsets.Select(offset => AddressSpace.AccessAt(mapping.Address + offset))];
}
