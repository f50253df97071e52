using Xen.Blkif.Backend;
using Xen.Blkif.Engine;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Backend;

/// <summary>How a device and its guest come to agree on the way to the guest's memory, and what is left of it afterwards.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class GuestMemoryNegotiationTests
{
    [TestCase(GuestMemoryAccess.Copy, true, ExpectedResult = GuestMemoryAccess.Copy)]
    [TestCase(GuestMemoryAccess.Copy, false, ExpectedResult = GuestMemoryAccess.Copy)]
    [TestCase(GuestMemoryAccess.Map, true, ExpectedResult = GuestMemoryAccess.Map)]
    [TestCase(GuestMemoryAccess.Map, false, ExpectedResult = GuestMemoryAccess.Map)]
    [TestCase(GuestMemoryAccess.Persistent, true, ExpectedResult = GuestMemoryAccess.Persistent)]
    [TestCase(GuestMemoryAccess.Persistent, false, ExpectedResult = GuestMemoryAccess.Copy)]
    public async Task<GuestMemoryAccess> It_is_what_the_options_say_and_persistent_only_where_the_guest_is(GuestMemoryAccess wanted, bool persistentGuest)
    {
        await using var stage = new Stage();
        stage.Options = stage.Options with { GuestMemory = wanted };
        GuestMemoryAccess used;
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            Assert.That(stage.ReadBe("feature-persistent"), Is.EqualTo(wanted == GuestMemoryAccess.Persistent ? "1" : "0"));

            // One that is not persistent grants its pages anew with each response, which fails where they are still mapped.
            await using BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { Depth = 4, UsesPersistentGrants = persistentGuest });
            Assert.That(frontend.IsPersistent, Is.EqualTo(wanted == GuestMemoryAccess.Persistent && persistentGuest));
            for (int seed = 0; seed < 5; seed++)
                Stage.DoesIo(frontend, 400 * 1024, seed);
            used = backend.Connection!.GuestMemory;
            if (used == GuestMemoryAccess.Persistent)
                Assert.That(stage.Xen.Grants.MappedPages, Is.GreaterThan(32));
            else
                Assert.That(stage.Xen.Grants.MappedPages, Is.EqualTo(1), "the ring");

            await frontend.CloseAsync();
            Assert.That(stage.Xen.Grants.MappedPages, Is.Zero, "when the backend says that it has closed");
        }

        stage.AssertNothingLeft();
        return used;
    }

    [Test]
    public async Task Unless_told_otherwise_data_is_copied_and_no_guest_is_offered_persistent_grants()
    {
        await using var stage = new Stage();
        stage.Options = stage.Options with { GuestMemory = new BackendOptions().GuestMemory };
        await using BlockBackend backend = await stage.AttachAsync();
        Assert.That(stage.ReadBe("feature-persistent"), Is.EqualTo("0"));
        await using BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { UsesPersistentGrants = true });
        Assert.That(backend.Connection!.GuestMemory, Is.EqualTo(GuestMemoryAccess.Copy));
    }

    [Test]
    public async Task Each_driver_of_a_guest_says_for_itself_whether_it_is_persistent()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        foreach (bool persistent in new[] { true, false, true })
        {
            await using BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { UsesPersistentGrants = persistent });
            Stage.DoesIo(frontend);
            Assert.That(backend.Connection!.GuestMemory, Is.EqualTo(persistent ? GuestMemoryAccess.Persistent : GuestMemoryAccess.Copy));
        }
    }

    [TestCase("")]
    [TestCase("0")]
    [TestCase("2")]
    [TestCase("-1")]
    [TestCase("1 ")]
    [TestCase("yes")]
    public async Task Whatever_is_not_1_is_no_word_of_persistent_grants(string value)
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        using FrontendQueue queue = stage.OfferRing();
        stage.WriteFe("feature-persistent", value);
        stage.WriteFe("state", "3");
        await stage.BackendIs(XenbusState.Connected);
        Assert.That(backend.Connection!.GuestMemory, Is.EqualTo(GuestMemoryAccess.Copy));
        stage.WriteFe("state", "6");
        await stage.BackendIs(XenbusState.Closed);
    }

    [Test]
    public async Task Pages_that_an_idle_guest_does_not_use_are_unmapped_with_nobody_asking()
    {
        await using var stage = new Stage();
        stage.Options = stage.Options with { PersistentGrantTimeout = TimeSpan.FromMilliseconds(50) };
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        Stage.DoesIo(frontend);
        await Eventually.IsTrue(() => stage.Xen.Grants.MappedPages == 1, () => $"the ring alone is mapped, there are {stage.Xen.Grants.MappedPages} pages");
        Stage.DoesIo(frontend);
    }

    [Test]
    [Property("Advisory", "XSA-371")]
    public async Task A_guest_that_dies_leaves_nothing_mapped([Values] GuestMemoryAccess access)
    {
        await using var stage = new Stage();
        stage.Options = stage.Options with { GuestMemory = access };
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        Stage.DoesIo(frontend);
        stage.Xen.DestroyGuest(Stage.GuestId);
        await Eventually.Ends(backend.Completion, "the device has ended");
        Assert.That(stage.Xen.Grants.MappedPages, Is.Zero);
    }
}
