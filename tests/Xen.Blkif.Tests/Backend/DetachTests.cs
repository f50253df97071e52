using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Backend;

[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class DetachTests
{
    [Test]
    public async Task A_frontend_that_follows_gives_the_disk_back()
    {
        await using var stage = new Stage();
        BlockBackend backend = await stage.AttachAsync();
        BlkifFrontend frontend = await stage.ConnectAsync();
        stage.ToolstackDetaches();
        await frontend.WaitForBackendAsync(XenbusState.Closing);
        Stage.DoesIo(frontend);
        await frontend.DisposeAsync();
        await Eventually.Ends(backend.Completion, "the device ended");
        stage.AssertNothingLeft();
        await backend.DisposeAsync();
        Assert.That(backend.State, Is.EqualTo(XenbusState.Closed));
    }

    [Test]
    public async Task A_disposed_disk_is_asked_back_from_a_frontend_that_follows()
    {
        await using var stage = new Stage();
        stage.Options = stage.Options with { DetachTimeout = Timeout.InfiniteTimeSpan };
        BlockBackend backend = await stage.AttachAsync();
        BlkifFrontend frontend = await stage.ConnectAsync();
        Task disposed = backend.DisposeAsync().AsTask();
        await frontend.WaitForBackendAsync(XenbusState.Closing);
        Assert.That(stage.ReadBe("online"), Is.EqualTo("0"));
        Stage.DoesIo(frontend);
        Assert.That(disposed.IsCompleted, Is.False);
        await frontend.DisposeAsync();
        await Eventually.Ends(disposed, "disposing ended");
        stage.AssertNothingLeft();
        Assert.That(stage.Guest.GrantedPages, Is.Zero);
    }

    [Test]
    public async Task Any_process_may_ask_for_a_disk()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        BlkifFrontend frontend = await stage.ConnectAsync();
        Assert.That(BlockBackend.RequestDetach(stage.Xen, Stage.GuestId, "xvda", stage.Options.BackendType), Is.True);
        await frontend.WaitForBackendAsync(XenbusState.Closing);
        await frontend.DisposeAsync();
        await Eventually.Ends(backend.Completion, "the device ended");
        stage.AssertNothingLeft();
    }

    [TestCase("xvdb", "blkif")]
    [TestCase("xvda", "vbd")]
    public async Task Asking_for_a_disk_that_is_not_there_changes_nothing(string vdev, string backendType)
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        Assert.That(BlockBackend.RequestDetach(stage.Xen, Stage.GuestId, vdev, backendType), Is.False);
        Assert.That((stage.ReadBe("online"), stage.ReadBe("state")), Is.EqualTo(("1", "2")));
        Assert.That(stage.Xen.Store.List($"/local/domain/0/backend"), Is.EqualTo(new[] { stage.Options.BackendType }));
    }

    [Test]
    public async Task A_frontend_that_does_not_answer_loses_the_disk_when_its_time_is_over()
    {
        await using var stage = new Stage();
        BlockBackend backend = await stage.AttachAsync();
        using FrontendQueue queue = stage.OfferRing();
        stage.WriteFe("state", "4");
        await stage.BackendIs(XenbusState.Connected);
        long start = System.Diagnostics.Stopwatch.GetTimestamp();
        await backend.DisposeAsync();
        Assert.That(System.Diagnostics.Stopwatch.GetElapsedTime(start), Is.GreaterThan(TimeSpan.FromMilliseconds(45)));
        Assert.That(backend.Completion.IsCompletedSuccessfully, Is.True);
        stage.AssertNothingLeft();
    }

    [TestCase("1")]
    [TestCase("6")]
    [TestCase("")]
    public async Task A_frontend_that_is_not_there_is_not_waited_for(string state)
    {
        await using var stage = new Stage();
        stage.Options = stage.Options with { DetachTimeout = Timeout.InfiniteTimeSpan };
        BlockBackend backend = await stage.AttachAsync();
        stage.WriteFe("state", state);
        await Eventually.Ends(backend.DisposeAsync().AsTask(), "disposing ended");
        stage.AssertNothingLeft();
    }

    [TestCase(3)]
    [TestCase(4)]
    [TestCase(5)]
    public async Task A_guest_that_dies_with_io_under_way_takes_its_disk_along(int depth)
    {
        await using var stage = new Stage();
        await using var slow = new DelayTarget(new NullTarget(1 << 20), TimeSpan.FromMilliseconds(30));
        BlockBackend backend = await BlockBackend.AttachAsync(stage.Xen, Stage.GuestId, "xvda", slow, stage.Options);
        FrontendQueue queue = stage.OfferRing(new FrontendOptions { Protocol = BlkifProtocol.X64, Depth = depth });
        stage.WriteFe("state", "4");
        await stage.BackendIs(XenbusState.Connected);
        for (int slot = 0; slot < depth; slot++)
            queue.Put(slot % 2 == 0 ? BlkifOperation.Write : BlkifOperation.Read, slot, 0, 4096);
        queue.Push();
        await Eventually.IsTrue(() => stage.Xen.Grants.CopiedSegments > 0, "I/O is under way");
        stage.Xen.DestroyGuest(Stage.GuestId);
        await Eventually.Ends(backend.Completion, "the device ended");
        Assert.That(backend.Queues[0].Requests, Is.EqualTo(depth), "all were answered, to nobody");
        stage.AssertNothingLeft();
        Assert.That(stage.Xen.Store.Read("/local/domain/5"), Is.Null, "nothing of the guest was brought back");
        await backend.DisposeAsync();
        Assert.That(stage.Warnings(), Is.Empty);
    }

    [Test]
    public async Task A_guest_that_dies_before_it_ever_connected_takes_its_disk_along()
    {
        await using var stage = new Stage();
        BlockBackend backend = await stage.AttachAsync();
        stage.Guest.Dispose();
        await Eventually.Ends(backend.Completion, "the device ended");
        stage.AssertNothingLeft();
        await backend.DisposeAsync();
    }

    [Test]
    public async Task A_driver_whose_guest_is_gone_can_be_disposed()
    {
        await using var stage = new Stage();
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        stage.Guest.Dispose();
    }

    [Test]
    public async Task Nodes_that_are_removed_underneath_are_never_brought_back(
        [Values("1", "3", "5", "6", "3 refused")] string state, [Values] bool backendHalf, [Values] bool frontendHalf, [Values] bool owned)
    {
        if (!backendHalf && !frontendHalf)
            return;

        await using var stage = new Stage();
        if (!owned)
            stage.ToolstackAttaches();
        BlockBackend backend = owned
            ? await stage.AttachAsync()
            : await BlockBackend.ServeAsync(stage.Xen, Stage.GuestId, "xvda", stage.Target, stage.Options);
        using FrontendQueue queue = stage.OfferRing();
        if (state == "3 refused")
            stage.WriteFe("ring-ref", "");
        if (state != "1")
        {
            stage.WriteFe("state", "3");
            await stage.BackendIs(state == "3 refused" ? XenbusState.Closing : XenbusState.Connected);
            stage.WriteFe("state", state[..1]);
            if (state is "5" or "6")
                await stage.BackendIs(state == "5" ? XenbusState.Closing : XenbusState.Closed);
        }

        if (backendHalf)
            stage.Xen.Store.Remove(Stage.Be);
        if (frontendHalf)
            stage.Xen.Store.Remove(Stage.Fe);
        await Eventually.Ends(backend.Completion, "the device ended");
        await backend.DisposeAsync();

        Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound, stage.Xen.Store.Watches), Is.EqualTo((0, 0, 0)));
        Assert.That(stage.ReadBe("state") is null, Is.EqualTo(backendHalf || owned));
        Assert.That(stage.Xen.Store.Read(Stage.Fe) is null, Is.EqualTo(frontendHalf || owned));
        if (backendHalf)
            Assert.That(stage.Xen.Store.List(Stage.Be), Is.Empty);
        else if (!owned)
            Assert.That(stage.ReadBe("state"), Is.EqualTo("6"));
    }

    [Test]
    public async Task Disposing_more_than_once_does_no_harm()
    {
        await using var stage = new Stage();
        BlockBackend backend = await stage.AttachAsync();
        await backend.DisposeAsync();
        stage.Xen.Store.Fault = (operation, path) => new HypervisorException($"{operation} {path} after the end");
        await backend.DisposeAsync();
        stage.Xen.Store.Fault = null;
        stage.AssertNothingLeft();
        Assert.That(stage.Warnings(), Is.Empty);
    }

    [Test]
    public async Task Disposing_from_many_threads_does_no_harm()
    {
        await using var stage = new Stage();
        BlockBackend backend = await stage.AttachAsync();
        using FrontendQueue queue = stage.OfferRing();
        stage.WriteFe("state", "4");
        await stage.BackendIs(XenbusState.Connected);
        await Eventually.Ends(Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () => await backend.DisposeAsync()))), "all ended");
        stage.AssertNothingLeft();
        Assert.That(stage.Warnings(), Is.Empty);
    }

    [Test]
    public async Task Disposing_waits_for_what_is_under_way()
    {
        await using var stage = new Stage();
        await using var slow = new DelayTarget(new NullTarget(1 << 20), TimeSpan.FromMilliseconds(200));
        BlockBackend backend = await BlockBackend.AttachAsync(stage.Xen, Stage.GuestId, "xvda", slow, stage.Options with { DetachTimeout = TimeSpan.Zero });
        using FrontendQueue queue = stage.OfferRing();
        stage.WriteFe("state", "4");
        await stage.BackendIs(XenbusState.Connected);
        queue.Put(BlkifOperation.Write, 0, 0, 512);
        queue.Push();
        await Eventually.IsTrue(() => stage.Xen.Grants.CopiedSegments > 0, "I/O is under way");
        await backend.DisposeAsync();
        Assert.That(queue.TryTake(out FrontendCompletion completion), Is.True);
        Assert.That(completion.Status, Is.EqualTo(BlkifStatus.Okay));
        stage.AssertNothingLeft();
    }

    [Test]
    public async Task A_toolstacks_nodes_are_served_and_left_alone()
    {
        await using var stage = new Stage();
        stage.ToolstackAttaches();
        BlockBackend backend = await BlockBackend.ServeAsync(stage.Xen, Stage.GuestId, "xvda", stage.Target, stage.Options);
        await using (BlkifFrontend frontend = await stage.ConnectAsync())
            Stage.DoesIo(frontend);

        await backend.DisposeAsync();
        Assert.That((stage.ReadBe("state"), stage.ReadBe("online"), stage.ReadFe("state")), Is.EqualTo(("6", "1", "1")));
        Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound, stage.Xen.Store.Watches), Is.EqualTo((0, 0, 0)));

        // The next process takes over.
        await using BlockBackend next = await BlockBackend.ServeAsync(stage.Xen, Stage.GuestId, "xvda", stage.Target, stage.Options);
        await using BlkifFrontend again = await stage.ConnectAsync();
        Stage.DoesIo(again);
        stage.ToolstackDetaches();
    }

    [Test]
    public async Task A_toolstack_that_detaches_a_disk_is_answered_whatever_was_announced_before([Values("1", "4", "5", "6")] string frontend)
    {
        await using var stage = new Stage();
        stage.ToolstackAttaches();
        BlockBackend backend = await BlockBackend.ServeAsync(stage.Xen, Stage.GuestId, "xvda", stage.Target, stage.Options);
        using FrontendQueue queue = stage.OfferRing();
        stage.WriteFe("state", frontend);
        await stage.BackendIs(frontend switch
        {
            "1" => XenbusState.InitWait,
            "4" => XenbusState.Connected,
            "5" => XenbusState.Closing,
            _ => XenbusState.Closed,
        });

        stage.ToolstackDetaches();
        if (frontend is "4" or "5")
        {
            await stage.BackendIs(XenbusState.Closing);
            Assert.That(backend.Completion.IsCompleted, Is.False, "it is the guest's turn");
            stage.WriteFe("state", "6");
        }

        await Eventually.Ends(backend.Completion, "the device ended");
        Assert.That(stage.ReadBe("state"), Is.EqualTo("6"), "what the toolstack waits for");
        await backend.DisposeAsync();
    }

    [Test]
    public async Task A_disk_whose_last_writes_fail_for_a_moment_leaves_nothing_behind()
    {
        await using var stage = new Stage();
        BlockBackend backend = await stage.AttachAsync();
        int failures = 0;
        stage.Xen.Store.Fault = (operation, path) =>
            operation == StoreOperation.Remove && path == Stage.Be && Interlocked.Increment(ref failures) < 4 ? new HypervisorException("busy") : null;
        await backend.DisposeAsync();
        Assert.That(failures, Is.EqualTo(4));
        stage.AssertNothingLeft();
    }
}
