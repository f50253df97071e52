using Xen.Blkif.Backend;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Backend;

[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class HandshakeTests
{
    [Test]
    public async Task Every_driver_connects_does_its_io_closes_and_makes_way_for_the_next(
        [Values] FrontendStyle style, [Values(BlkifProtocol.X64, BlkifProtocol.X86)] BlkifProtocol protocol, [Values(0, 2, 4)] int order)
    {
        await using var stage = new Stage();
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            await Serve(new FrontendOptions { Style = style, Protocol = protocol, RingPageOrder = order });

            // The next driver has everything different.
            await Serve(new FrontendOptions
            {
                Style = style == FrontendStyle.Linux ? FrontendStyle.MiniOs : FrontendStyle.Linux,
                Protocol = protocol == BlkifProtocol.X64 ? BlkifProtocol.X86 : BlkifProtocol.X64,
                RingPageOrder = 4 - order,
                Depth = 7,
            });

            async Task Serve(FrontendOptions options)
            {
                await using (BlkifFrontend frontend = await stage.ConnectAsync(options))
                {
                    Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((1 << options.RingPageOrder, 1)));
                    Stage.DoesIo(frontend, seed: (int)options.Protocol);
                    byte[] stored = new byte[4096];
                    byte[] seen = new byte[4096];
                    stage.Disk.CopyTo(8192, stored);
                    frontend.Disk.Read(8192, seen);
                    Assert.That(seen, Is.EqualTo(stored));
                    Assert.That(stored, Has.Some.Not.Zero);
                }

                Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound, stage.Guest.GrantedPages), Is.EqualTo((0, 0, 0)));
            }
        }

        stage.AssertNothingLeft();
        Assert.That(stage.Warnings(), Is.Empty);
    }

    [Test]
    public async Task A_boot_loader_hands_the_disk_over_to_the_system_that_it_boots([Values(0, 4)] int order)
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        await using (BlkifFrontend grub = await stage.ConnectAsync(new FrontendOptions { Style = FrontendStyle.Grub, WritesProtocol = false, Protocol = BlkifProtocol.X86 }))
            Stage.DoesIo(grub);

        Assert.That((stage.ReadFe("ring-ref"), stage.ReadFe("event-channel")), Is.EqualTo(("", "")), "as GRUB leaves them");
        await using BlkifFrontend linux = await stage.ConnectAsync(new FrontendOptions { RingPageOrder = order });
        Stage.DoesIo(linux);
    }

    [Test]
    public async Task A_driver_that_names_no_layout_speaks_that_of_32_bit_x86_on_x86()
    {
        if (!BlkifProtocols.TryParse(null, out BlkifProtocol silent) || silent != BlkifProtocol.X86)
            Assert.Ignore("ignored: this is no x86");
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { Protocol = BlkifProtocol.X86, WritesProtocol = false });
        Assert.That(stage.ReadFe("protocol"), Is.Null);
        Stage.DoesIo(frontend);
    }

    [Test]
    public async Task An_earlier_drivers_numbered_reference_is_not_taken_for_the_ring()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        stage.WriteFe("ring-ref0", "4000");
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        Stage.DoesIo(frontend);
    }

    [TestCase("ring-page-order", "0", "ring-ref0")]
    [TestCase("ring-page-order", "0", "ring-ref")]
    [TestCase("num-ring-pages", "1", "ring-ref0")]
    [TestCase("num-ring-pages", "1", "ring-ref")]
    public async Task A_ring_of_one_page_may_be_announced_in_any_of_four_ways(string sizeKey, string size, string referenceKey)
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        using FrontendQueue queue = stage.OfferRing();
        stage.Guest.Store.Remove($"{Stage.Fe}/ring-ref");
        stage.WriteFe(sizeKey, size);
        stage.WriteFe(referenceKey, queue.RingReferences[0].ToString());
        await ConnectsAndServes(stage, queue);
    }

    [Test]
    public async Task A_ring_of_many_pages_may_be_announced_by_their_number()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        using FrontendQueue queue = stage.OfferRing(new FrontendOptions { Protocol = BlkifProtocol.X64, RingPageOrder = 2 });
        stage.Guest.Store.Remove($"{Stage.Fe}/ring-page-order");
        stage.WriteFe("num-ring-pages", "4");
        await ConnectsAndServes(stage, queue, pages: 4);
    }

    [TestCase(XenbusState.Initialised)]
    [TestCase(XenbusState.Connected)]
    public async Task Requests_that_are_older_than_the_connection_are_served_without_an_event(XenbusState announced)
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        using FrontendQueue queue = stage.OfferRing();
        for (int slot = 0; slot < queue.Depth; slot++)
            queue.Put(BlkifOperation.Write, slot, (ulong)slot, 512);
        queue.Push();
        Assert.That(queue.Channel.IsBound, Is.False, "the event of the push went nowhere");

        stage.WriteFe("state", $"{(int)announced}");
        for (int slot = 0; slot < queue.Depth; slot++)
            Assert.That(await Response(queue), Is.EqualTo(new FrontendCompletion((ulong)slot, BlkifOperation.Write, BlkifStatus.Okay)));
        await LetGo(stage);
    }

    [Test]
    public async Task A_driver_that_dies_without_a_word_makes_way_for_the_next()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        for (int round = 0; round < 5; round++)
        {
            using FrontendQueue queue = stage.OfferRing();
            stage.WriteFe("state", "4");
            await stage.BackendIs(XenbusState.Connected);
            stage.WriteFe("state", "1");
            await stage.BackendIs(XenbusState.InitWait);
            Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((0, 0)));
        }

        await using BlkifFrontend frontend = await stage.ConnectAsync();
        Stage.DoesIo(frontend);
    }

    [Test]
    public async Task A_driver_that_comes_before_the_death_of_the_last_was_seen_gets_its_own_ring()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        FrontendQueue previous = stage.OfferRing();
        stage.WriteFe("state", "4");
        await stage.BackendIs(XenbusState.Connected);

        for (int round = 0; round < 20; round++)
        {
            // No wait between: most of the time the backend sees nothing but a 4 after a 4.
            stage.WriteFe("state", "1");
            FrontendQueue next = stage.OfferRing();
            stage.WriteFe("state", "4");
            next.Put(BlkifOperation.Read, 0, 0, 512);
            next.Push();
            Assert.That((await Response(next)).Status, Is.EqualTo(BlkifStatus.Okay), $"round {round}");
            previous.Dispose();
            previous = next;
        }

        await LetGo(stage);
        previous.Dispose();
    }

    [Test]
    public async Task A_driver_may_close_without_having_said_that_it_is_about_to()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        using (FrontendQueue queue = stage.OfferRing())
        {
            stage.WriteFe("state", "4");
            await stage.BackendIs(XenbusState.Connected);
            await LetGo(stage);
        }

        stage.WriteFe("state", "1");
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        Stage.DoesIo(frontend);
    }

    [Test]
    public async Task A_driver_that_is_closing_is_still_served_until_it_has_closed()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        using FrontendQueue queue = stage.OfferRing();
        stage.WriteFe("state", "4");
        await stage.BackendIs(XenbusState.Connected);
        stage.WriteFe("state", "5");
        await stage.BackendIs(XenbusState.Closing);
        queue.Put(BlkifOperation.Write, 0, 0, 512);
        queue.Push();
        Assert.That((await Response(queue)).Status, Is.EqualTo(BlkifStatus.Okay));
        await LetGo(stage);
    }

    [TestCase("")]
    [TestCase("0")]
    [TestCase("abc")]
    [TestCase("9")]
    [TestCase("99")]
    [TestCase("-1")]
    [TestCase("+4")]
    [TestCase("4 ")]
    [TestCase(" 4")]
    [TestCase("04")]
    [TestCase("0x4")]
    [TestCase("4\n")]
    [TestCase("\u0664", Description = "an Arabic 4")]
    [TestCase("long")]
    public async Task A_state_that_is_none_lets_go_of_the_disk(string state)
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        using (FrontendQueue queue = stage.OfferRing())
        {
            stage.WriteFe("state", "4");
            await stage.BackendIs(XenbusState.Connected);
            stage.WriteFe("state", state == "long" ? new string('4', 4096) : state);
            await stage.BackendIs(XenbusState.Closed);
            Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((0, 0)));
        }

        stage.WriteFe("state", "1");
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        Stage.DoesIo(frontend);
    }

    [TestCase("2")]
    [TestCase("7")]
    [TestCase("8")]
    public async Task A_state_that_asks_for_nothing_changes_nothing(string state)
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        using FrontendQueue queue = stage.OfferRing();
        stage.WriteFe("state", "4");
        await stage.BackendIs(XenbusState.Connected);
        stage.WriteFe("state", state);
        queue.Put(BlkifOperation.Read, 0, 0, 512);
        queue.Push();
        Assert.That((await Response(queue)).Status, Is.EqualTo(BlkifStatus.Okay));
        Assert.That(backend.State, Is.EqualTo(XenbusState.Connected));
        await LetGo(stage);
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    [Property("Advisory", "XSA-350")]
    public async Task A_guest_that_flips_its_states_at_random_with_io_under_way_harms_nothing(int seed)
    {
        const int Flips = 3_500;
        string[] states = ["1", "2", "3", "4", "5", "6", "3", "4", "", "abc", "99", "-1", "4 ", new string('4', 4096)];
        var random = new Random(seed);
        await using var stage = new Stage();
        await using var slow = new DelayTarget(new NullTarget(1 << 20), TimeSpan.FromMilliseconds(0.2));
        await using (BlockBackend backend = await BlockBackend.AttachAsync(stage.Xen, Stage.GuestId, "xvda", slow, stage.Options))
        {
            FrontendQueue queue = stage.OfferRing();
            int connected = 0;
            for (int flip = 0; flip < Flips; flip++)
            {
                stage.WriteFe("state", states[random.Next(states.Length)]);
                while (queue.TryTake(out _))
                {
                    // Only that they come matters.
                }

                for (int i = random.Next(4); i > 0 && queue.Free > 0; i--)
                    queue.Put(BlkifOperation.Write, random.Next(queue.Depth), (ulong)random.Next(2048), 512 * random.Next(1, 80));
                queue.Push();
                connected += backend.State == XenbusState.Connected ? 1 : 0;

                if (random.Next(20) == 0)
                {
                    stage.WriteFe("state", "6");
                    await stage.BackendIs(XenbusState.Closed);
                    queue.Dispose();
                    stage.WriteFe("state", "1");
                    queue = stage.OfferRing(new FrontendOptions { Protocol = BlkifProtocol.X64, Depth = 8, RingPageOrder = random.Next(3) });
                }

                if (random.Next(10) == 0)
                    await Task.Delay(1);
            }

            stage.WriteFe("state", "6");
            await stage.BackendIs(XenbusState.Closed);
            Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((0, 0)));
            queue.Dispose();
            Assert.That(connected, Is.Positive, "flips that found the disk connected");

            stage.WriteFe("state", "1");
            await using BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { UsesPersistentGrants = false });
            frontend.Disk.Write(0, new byte[65536]);
            Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((1, 1)));
        }

        stage.AssertNothingLeft();
    }

    private static async Task ConnectsAndServes(Stage stage, FrontendQueue queue, int pages = 1)
    {
        stage.WriteFe("state", "3");
        await stage.BackendIs(XenbusState.Connected);
        Assert.That(stage.Xen.Grants.MappedPages, Is.EqualTo(pages));
        queue.Put(BlkifOperation.Read, 0, 0, 512);
        queue.Push();
        Assert.That((await Response(queue)).Status, Is.EqualTo(BlkifStatus.Okay));
        await LetGo(stage);
    }

    private static async Task LetGo(Stage stage)
    {
        stage.WriteFe("state", "6");
        await stage.BackendIs(XenbusState.Closed);
        Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((0, 0)));
    }

    private static async Task<FrontendCompletion> Response(FrontendQueue queue)
    {
        FrontendCompletion completion = default;
        await Eventually.IsTrue(() => queue.TryTake(out completion), "a response came");
        return completion;
    }
}
