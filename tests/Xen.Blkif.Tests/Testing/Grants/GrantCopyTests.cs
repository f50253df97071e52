using NUnit.Framework;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Testing.Grants;

internal sealed class GrantCopyTests
{
    private static readonly DomainId GuestId = 5;

    [Test]
    public void A_piece_is_checked_as_Xen_does(
        [Values] Granted granted, [Values] bool toGuest, [Values(0, 1, 4095)] int offset, [Values(0, 1, 4095, 4096)] int length)
    {
        using var xen = new SimulatedXen();
        using var local = new NativePages(1);
        var guest = xen.CreateGuest(GuestId, 16);
        var page = guest.AllocatePages(1);
        var reference = granted switch
        {
            Granted.Writable => guest.Grant(page, 0, writable: true),
            Granted.ReadOnly => guest.Grant(page, 0, writable: false),
            Granted.ToAnother => guest.Grant(page, 6, writable: true),
            Granted.Revoked => Revoked(guest, page),
            Granted.Reserved => new GrantReference(7),
            _ => new GrantReference(8192),
        };
        var expected = granted switch
        {
            Granted.BeyondTheTable => GrantStatus.BadGrantReference,
            Granted.Reserved or Granted.Revoked or Granted.ToAnother => GrantStatus.GeneralError,
            Granted.ReadOnly when toGuest => GrantStatus.GeneralError,
            _ => length == 0 || offset + length > 4096 ? GrantStatus.BadCopyArgument : GrantStatus.Okay,
        };
        local.Bytes.Fill(0x11);
        Span(guest.AddressOf(page), 4096).Fill(0x22);

        GrantCopySegment[] segments = [Segment(toGuest, local.Address, GuestId, reference, offset, length)];
        var result = xen.Grants.Copy(segments);

        var copied = expected == GrantStatus.Okay;
        Assert.That(segments[0].Status, Is.EqualTo(expected));
        Assert.That(result, Is.EqualTo(copied));
        Assert.That(Span(guest.AddressOf(page), 4096).Count((byte)0x11), Is.EqualTo(copied && toGuest ? length : 0));
        Assert.That(local.Bytes.Count((byte)0x22), Is.EqualTo(copied && !toGuest ? length : 0));
        if (copied && toGuest)
            Assert.That(Span(guest.AddressOf(page), 4096).IndexOf((byte)0x11), Is.EqualTo(offset));
    }

    [Test]
    public void A_piece_that_fails_leaves_the_others_alone_and_is_counted()
    {
        using var xen = new SimulatedXen();
        using var local = new NativePages(1);
        var guest = xen.CreateGuest(GuestId, 16);
        var reference = guest.Grant(guest.AllocatePages(1), 0, writable: true);
        local.Bytes.Fill(0x33);

        GrantCopySegment[] segments =
        [
            GrantCopySegment.IntoGuest(local.Address, GuestId, reference, 0, 512),
            GrantCopySegment.IntoGuest(local.Address, GuestId, new GrantReference(9000), 0, 512),
            GrantCopySegment.IntoGuest(local.Address, 6, reference, 0, 512),
            GrantCopySegment.IntoGuest(local.Address, GuestId, reference, 1024, 512),
        ];

        Assert.That(xen.Grants.Copy(segments), Is.False);
        Assert.That(segments.Select(segment => segment.Status), Is.EqualTo(
            [GrantStatus.Okay, GrantStatus.BadGrantReference, GrantStatus.BadDomain, GrantStatus.Okay]));
        Assert.That(Span(guest.AddressOf(0), 4096).Count((byte)0x33), Is.EqualTo(1024));
        Assert.That((xen.Grants.Copies, xen.Grants.CopiedSegments, xen.Grants.CopyFailures), Is.EqualTo((1L, 2L, 2L)));
    }

    [Test]
    public void A_fault_on_demand_becomes_the_status_of_its_piece()
    {
        using var xen = new SimulatedXen();
        using var local = new NativePages(1);
        var guest = xen.CreateGuest(GuestId, 16);
        var good = guest.Grant(0, 0, writable: true);
        var bad = guest.Grant(1, 0, writable: true);
        xen.Grants.CopyFault = (domain, reference) => domain == GuestId && reference == bad ? GrantStatus.TryAgain : GrantStatus.Okay;

        GrantCopySegment[] segments =
        [
            GrantCopySegment.OutOfGuest(local.Address, GuestId, bad, 0, 8),
            GrantCopySegment.OutOfGuest(local.Address, GuestId, good, 0, 8),
        ];

        Assert.That(xen.Grants.Copy(segments), Is.False);
        Assert.That(segments.Select(segment => segment.Status), Is.EqualTo([GrantStatus.TryAgain, GrantStatus.Okay]));
    }

    [Test]
    public void Nothing_is_copied_once_the_guest_is_destroyed()
    {
        using var xen = new SimulatedXen();
        using var local = new NativePages(1);
        var guest = xen.CreateGuest(GuestId, 16);
        GrantCopySegment[] segments = [GrantCopySegment.IntoGuest(local.Address, GuestId, guest.Grant(0, 0, writable: true), 0, 8)];

        xen.DestroyGuest(GuestId);

        Assert.That(xen.Grants.Copy(segments), Is.False);
        Assert.That(segments[0].Status, Is.EqualTo(GrantStatus.BadDomain));
    }

    [Test]
    public void Copying_allocates_nothing()
    {
        using var xen = new SimulatedXen();
        using var local = new NativePages(1);
        var guest = xen.CreateGuest(GuestId, 16);
        GrantCopySegment[] segments =
        [
            GrantCopySegment.IntoGuest(local.Address, GuestId, guest.Grant(0, 0, writable: true), 0, 4096),
            GrantCopySegment.OutOfGuest(local.Address, GuestId, guest.Grant(1, 0, writable: false), 0, 4096),
            GrantCopySegment.OutOfGuest(local.Address, GuestId, new GrantReference(9000), 0, 4096),
        ];

        Assert.That(Allocations.Of(() => xen.Grants.Copy(segments)), Is.Zero);
    }

    private static GrantReference Revoked(SimulatedGuest guest, int page)
    {
        var reference = guest.Grant(page, 0, writable: true);
        Assert.That(guest.TryRevoke(reference), Is.True);
        return reference;
    }

    private static GrantCopySegment Segment(bool toGuest, nint local, DomainId domain, GrantReference reference, int offset, int length) =>
        toGuest
            ? GrantCopySegment.IntoGuest(local, domain, reference, offset, length)
            : GrantCopySegment.OutOfGuest(local, domain, reference, offset, length);

    private static Span<byte> Span(nint address, int length) => NativePages.At(address, length);

    internal enum Granted
    {
        Writable,
        ReadOnly,
        ToAnother,
        Revoked,
        Reserved,
        BeyondTheTable,
    }
}
