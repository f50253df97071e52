using Xen.Blkif.Backend;
using Xen.Blkif.Testing;
using Xen.Blkif.Tests.Backend;

namespace Xen.Blkif.Tests.Security;

/// <summary>Attacks by the guest's nodes in xenstore.</summary>
internal sealed class StoreTests
{
    [Test]
    public async Task XSA_115_a_device_has_two_watches_whatever_its_guest_does()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        for (int i = 0; i < 50; i++)
        {
            await using (BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { Depth = 2 }))
                Assert.That(stage.Xen.Store.Watches, Is.EqualTo(2), "of its own half and of the state of the other");
            stage.WriteFe("state", "abc");
            await stage.BackendIs(XenbusState.Closed);
            stage.WriteFe("state", "1");
            await stage.BackendIs(XenbusState.InitWait);
        }

        Assert.That(stage.Xen.Store.Watches, Is.EqualTo(2));
    }
}
