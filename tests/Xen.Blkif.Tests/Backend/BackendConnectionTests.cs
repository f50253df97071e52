using Xen.Blkif.Backend;
using Xen.Blkif.Engine;
using Xen.Blkif.Protocol;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Backend;

/// <summary>What a device says that it has agreed on with its guest.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class BackendConnectionTests
{
    [Test]
    public async Task A_connected_device_says_what_the_guest_chose_and_one_without_a_ring_says_nothing()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        Assert.That(backend.Connection, Is.Null, "offered");
        BackendConnection first;
        await using (BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { Protocol = BlkifProtocol.X86, RingPageOrder = 3 }))
        {
            first = backend.Connection!;
            Assert.That((first.Protocol, first.RingPages, first.QueueCount, first.GuestMemory), Is.EqualTo((BlkifProtocol.X86, 8, 1, GuestMemoryAccess.Persistent)));
            Assert.That(first.EventChannels, Is.EqualTo(new[] { frontend.Queue.Channel.Port }));
            await frontend.CloseAsync();
            Assert.That(backend.Connection, Is.Null, "closed");
        }

        await using BlkifFrontend next = await stage.ConnectAsync(new FrontendOptions { Protocol = BlkifProtocol.X64, RingPageOrder = 0 });
        Assert.That((backend.Connection!.Protocol, backend.Connection.RingPages), Is.EqualTo((BlkifProtocol.X64, 1)));
        Assert.That(first.RingPages, Is.EqualTo(8), "what was said before stays as it was");
    }

    [Test]
    public async Task A_guest_that_was_refused_has_agreed_on_nothing()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        using FrontendQueue queue = stage.OfferRing();
        stage.WriteFe("protocol", "vax-abi");
        stage.WriteFe("state", "3");
        await stage.BackendIs(XenbusState.Closing);
        Assert.That(backend.Connection, Is.Null);
    }
}
