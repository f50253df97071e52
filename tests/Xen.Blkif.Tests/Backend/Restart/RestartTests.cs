using Xen.Blkif.Backend;
using Xen.Blkif.Engine;
using Xen.Blkif.Fuzz;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;
using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.Tests.Backend.Restart;

/// <summary>Processes that are killed while they serve, and those that come after them.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class RestartTests
{
    private const int Kills = 10;

    [Test]
    public async Task A_guest_does_not_notice_that_the_process_that_attached_its_disk_is_killed_ten_times_and_started_again(
        [Values(BlkifProtocol.X64, BlkifProtocol.X86)] BlkifProtocol protocol, [Values] GuestMemoryAccess memory, [Values(1, 3)] int queues)
    {
        using var folder = new TemporaryFolder();
        await using var stage = new Stage();
        BackendOptions options = Options(stage, folder) with { GuestMemory = memory };
        await SurviveAsync(stage, new FrontendOptions { Protocol = protocol, RingPageOrder = queues - 1, Queues = queues }, async (xen, target) =>
            await BlockBackend.AttachAsync(xen, Stage.GuestId, "xvda", target, options));
        stage.AssertNothingLeft();
        Assert.That(Directory.GetFiles(folder.Path), Is.Empty);
    }

    [Test]
    public async Task A_guest_does_not_notice_that_the_process_that_serves_what_a_toolstack_offers_is_killed_ten_times_and_started_again()
    {
        using var folder = new TemporaryFolder();
        await using var stage = new Stage();
        BackendOptions options = Options(stage, folder);
        stage.ToolstackAttaches();
        List<bool> inUse = [];
        await SurviveAsync(stage, new FrontendOptions(), async (xen, target) =>
        {
            var watcher = new BackendWatcher(xen, disk => Open(disk, target), options);
            await Eventually.IsTrue(() => watcher.Devices.Count == 1, "the disk is served");
            return watcher;
        });
        Assert.That(Directory.GetFiles(folder.Path), Is.Empty);
        Assert.That(inUse, Is.EqualTo(Enumerable.Range(0, Kills + 1).Select(life => life > 0)));

        IBlockTarget Open(OfferedDisk disk, IBlockTarget target)
        {
            inUse.Add(disk.IsInUse);
            return target;
        }
    }

    [Test]
    public async Task What_the_guest_has_read_of_its_disk_stays_as_it_is_but_for_a_new_size()
    {
        using var folder = new TemporaryFolder();
        var disk = new ElasticTarget(1 << 20, 2 << 20);
        await using var stage = new Stage(disk);
        BackendOptions options = Options(stage, folder);
        using var first = new MortalHost(stage.Xen);
        BlockBackend killed = await BlockBackend.AttachAsync(first, Stage.GuestId, "xvda", disk, options);
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        await KillAsync(first, killed, frontend);
        Dictionary<string, string?> before = Nodes(stage);

        disk.Length = 2 << 20;
        await using BlockBackend second = await BlockBackend.AttachAsync(stage.Xen, Stage.GuestId, "xvda", disk, options with { MaxRingPageOrder = 0 });
        TakesTheAnswer(frontend);
        await Eventually.IsTrue(() => stage.ReadBe("sectors") == "4096", "the guest is told of the size");
        before["sectors"] = "4096";
        Assert.That(Nodes(stage), Is.EqualTo(before));
        Assert.That((second.State, second.Connection?.RingPages), Is.EqualTo((XenbusState.Connected, 1)));
        frontend.Disk.Write((2 << 20) - 512, new byte[512]);
        Assert.That(disk.Reached, Is.EqualTo(2 << 20));
    }

    [Test]
    public async Task A_process_takes_all_queues_back_also_where_it_would_offer_fewer()
    {
        using var folder = new TemporaryFolder();
        await using var stage = new Stage();
        stage.Options = Options(stage, folder);
        using var first = new MortalHost(stage.Xen);
        BlockBackend killed = await BlockBackend.AttachAsync(first, Stage.GuestId, "xvda", stage.Target, stage.Options);
        await using BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { Queues = 4, Depth = 8 });
        await KillAsync(first, killed, frontend);
        stage.Options = stage.Options with { MaxQueues = 1 };
        await using BlockBackend second = await stage.AttachAsync();
        TakesTheAnswer(frontend);
        await Eventually.IsTrue(() => second.Connection?.QueueCount == 4, "all are taken back");
        foreach (FrontendDisk queue in frontend.Disks)
            queue.Write(0, new byte[512]);
        Assert.That(stage.ReadBe("multi-queue-max-queues"), Is.EqualTo("4"), "as the guest has read it");
    }

    [Test]
    public async Task A_guest_that_has_an_answer_and_was_not_told_of_it_is_told_by_the_process_that_comes_after()
    {
        using var folder = new TemporaryFolder();
        await using var stage = new Stage();
        stage.Options = Options(stage, folder);
        using var first = new MortalHost(stage.Xen);
        BlockBackend killed = await BlockBackend.AttachAsync(first, Stage.GuestId, "xvda", stage.Target, stage.Options);
        await using BlkifFrontend frontend = await stage.ConnectAsync();

        // The guest's page is one call, the notification is the next.
        await KillAsync(first, killed, frontend, call: 2);
        Assert.That(frontend.Queue.Channel.Wait(0), Is.False, "nobody told the guest");
        await using BlockBackend second = await stage.AttachAsync();
        Assert.That(frontend.Queue.Channel.Wait(10_000), Is.True);
        TakesTheAnswer(frontend);
        Assert.That(second.Queues[0].Requests, Is.Zero, "it is the first one's answer");
    }

    [Test]
    public async Task A_disk_that_cannot_be_taken_back_at_once_is_taken_back_later()
    {
        using var folder = new TemporaryFolder();
        await using var stage = new Stage();
        stage.Options = Options(stage, folder);
        using var first = new MortalHost(stage.Xen);
        BlockBackend killed = await BlockBackend.AttachAsync(first, Stage.GuestId, "xvda", stage.Target, stage.Options);
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        await KillAsync(first, killed, frontend);

        // A process that is dying may still have the port.
        int refusals = 0;
        stage.Xen.Events.BindFault = (_, _) => refusals++ == 0;
        await using BlockBackend second = await stage.AttachAsync();
        TakesTheAnswer(frontend);
        Assert.That(refusals, Is.EqualTo(2));
        await Eventually.IsTrue(() => second.State == XenbusState.Connected, "the disk is taken back");
        Assert.That(stage.ReadBe("state"), Is.EqualTo("4"));
    }

    [Test]
    public async Task A_process_that_was_killed_while_it_took_its_disk_away_is_followed_by_one_that_takes_it_away()
    {
        using var folder = new TemporaryFolder();
        await using var stage = new Stage();
        stage.Options = Options(stage, folder);
        using var first = new MortalHost(stage.Xen);
        BlockBackend killed = await BlockBackend.AttachAsync(first, Stage.GuestId, "xvda", stage.Target, stage.Options);
        BlkifFrontend frontend = await stage.ConnectAsync();
        stage.ToolstackDetaches();
        await KillAsync(first, killed, frontend);

        await using BlockBackend second = await stage.AttachAsync();
        TakesTheAnswer(frontend);
        await frontend.DisposeAsync();
        await Eventually.Ends(second.Completion, "the disk has ended");
        stage.AssertNothingLeft();
        Assert.That(Directory.GetFiles(folder.Path), Is.Empty);
    }

    [Test]
    public async Task A_disk_that_a_living_process_serves_is_not_taken_from_it()
    {
        using var folder = new TemporaryFolder();
        await using var stage = new Stage();
        stage.Options = Options(stage, folder);
        await using BlockBackend alive = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        Assert.That(async () => await stage.AttachAsync(), Throws.TypeOf<HypervisorException>().With.Message.Contains("already"));
        Stage.DoesIo(frontend);
    }

    [Test]
    public async Task A_toolstacks_disk_that_a_living_process_serves_is_neither_opened_nor_closed_by_another()
    {
        using var folder = new TemporaryFolder();
        await using var stage = new Stage();
        stage.Options = Options(stage, folder);
        stage.ToolstackAttaches();
        await using BlockBackend alive = await BlockBackend.ServeAsync(stage.Xen, Stage.GuestId, "xvda", stage.Target, stage.Options);
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        List<int> opened = [];
        const string NextFe = "/local/domain/5/device/vbd/51728", NextBe = "/local/domain/0/backend/blkif/5/51728";
        foreach ((string path, string value) in new[] { ($"{NextFe}/state", "1"), ($"{NextBe}/frontend", NextFe), ($"{NextBe}/online", "1"), ($"{NextBe}/state", "1") })
            stage.Xen.Store.Write(path, value);

        await using (var watcher = new BackendWatcher(stage.Xen, Open, stage.Options))
            await Eventually.IsTrue(() => watcher.Devices.Count == 1, "the disk behind it is served");
        Assert.That(opened, Is.EqualTo(new[] { 51728 }));
        Assert.That(stage.ReadBe("state"), Is.EqualTo("4"));
        Stage.DoesIo(frontend);

        IBlockTarget Open(OfferedDisk disk)
        {
            opened.Add(disk.Device.Number);
            return new NullTarget(1 << 20);
        }
    }

    [Test]
    public async Task A_disk_that_was_asked_back_is_served_until_the_guest_lets_go_of_it()
    {
        using var folder = new TemporaryFolder();
        await using var stage = new Stage();
        stage.ToolstackAttaches();
        BackendOptions options = Options(stage, folder);
        using var first = new MortalHost(stage.Xen);
        BlockBackend killed = await BlockBackend.ServeAsync(first, Stage.GuestId, "xvda", stage.Target, options);
        BlkifFrontend frontend = await stage.ConnectAsync();
        stage.ToolstackDetaches();
        await KillAsync(first, killed, frontend);

        await using var watcher = new BackendWatcher(stage.Xen, _ => stage.Target, options);
        await Eventually.IsTrue(() => watcher.Devices.Count == 1, "the disk is served");
        TakesTheAnswer(frontend);
        Assert.That(stage.ReadBe("state"), Is.EqualTo("5"));
        Stage.DoesIo(frontend);
        await frontend.DisposeAsync();
        await stage.BackendIs(XenbusState.Closed);
        await Eventually.IsTrue(() => watcher.Devices.Count == 0, "the disk has ended");
        Assert.That(Directory.GetFiles(folder.Path), Is.Empty);
    }

    [Test]
    public async Task What_was_owed_in_a_ring_that_is_gone_is_not_done_in_the_ring_that_came_after_it()
    {
        using var folder = new TemporaryFolder();
        await using var stage = new Stage();
        BackendOptions options = Options(stage, folder);
        using var first = new MortalHost(stage.Xen);
        var storage = new DiskThread(stage.Disk);
        await storage.DieAsync();
        BlockBackend killed = await BlockBackend.AttachAsync(first, Stage.GuestId, "xvda", storage.Target, options);
        using FrontendQueue dead = stage.OfferRing();
        stage.WriteFe("state", "4");
        await stage.BackendIs(XenbusState.Connected);
        dead.Put(BlkifOperation.Read, 0, 0, 512);
        dead.Push();
        await Eventually.IsTrue(() => killed.Queues[0].Passes > 0, "the request is under way");
        first.DieAt(1);
        dead.Put(BlkifOperation.Write, 1, 0, 512);
        dead.Push();
        await Eventually.Ends(first.Died, "the process is dead");
        await killed.DisposeAsync();

        // The guest's driver has died too; the next one has its ring elsewhere.
        using FrontendQueue queue = stage.OfferRing();
        await using BlockBackend second = await BlockBackend.AttachAsync(stage.Xen, Stage.GuestId, "xvda", stage.Target, options);
        queue.Put(BlkifOperation.Read, 2, 0, 512);
        queue.Push();
        Assert.That(queue.Wait(10_000), Is.True);
        Assert.That(queue.TryTake(out FrontendCompletion completion), Is.True);
        Assert.That(completion.Id, Is.EqualTo(2));
        Assert.That((queue.TryTake(out _), dead.TryTake(out _)), Is.EqualTo((false, false)));
        await second.DisposeAsync();
    }

    [Test]
    public async Task Without_a_folder_for_its_state_a_disk_is_not_taken_back()
    {
        await using var stage = new Stage();
        using var first = new MortalHost(stage.Xen);
        BlockBackend killed = await BlockBackend.AttachAsync(first, Stage.GuestId, "xvda", stage.Target, stage.Options);
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        await KillAsync(first, killed, frontend);
        Assert.That(async () => await stage.AttachAsync(), Throws.TypeOf<HypervisorException>().With.Message.Contains("already"));
        stage.Xen.Store.Remove(Stage.Fe);
        stage.Xen.Store.Remove(Stage.Be);
    }

    [Test]
    public async Task A_folder_that_is_missing_is_a_reason_that_the_toolstack_reads()
    {
        using var folder = new TemporaryFolder();
        await using var stage = new Stage();
        stage.Options = stage.Options with { StateFolder = Path.Combine(folder.Path, "missing") };
        stage.ToolstackAttaches();
        await using var watcher = new BackendWatcher(stage.Xen, _ => stage.Target, stage.Options);
        await stage.BackendIs(XenbusState.Closed);
        Assert.That(stage.Xen.Store.Read(Stage.Error), Does.Contain("missing"));
        Assert.That(watcher.Devices, Is.Empty);
    }

    // Serves in one process after another, each of which is killed at some point under load, while the guest works and compares.
    private static async Task SurviveAsync(Stage stage, FrontendOptions options, Func<IXenHost, IBlockTarget, Task<IAsyncDisposable>> start)
    {
        var random = new Random(3);
        BlkifFrontend? frontend = null;
        VerifyingGuest? guest = null;
        for (int life = 0; life < Kills; life++)
        {
            using var xen = new MortalHost(stage.Xen);
            var storage = new DiskThread(stage.Disk);
            IAsyncDisposable process = await start(xen, storage.Target);
            frontend ??= await stage.ConnectAsync(options);
            guest ??= new VerifyingGuest(frontend);
            xen.DieAt(random.Next(1, 60));
            await Eventually.IsTrue(() => xen.Died.IsCompleted || guest.HasFailed, "the process is dead");
            await storage.DieAsync();
            await process.DisposeAsync();
            if (guest.HasFailed)
                await guest.StopAsync();
        }

        var last = new DiskThread(stage.Disk);
        await using (await start(stage.Xen, last.Target))
        {
            int rounds = guest!.Rounds;
            await Eventually.IsTrue(() => guest.Rounds > rounds + 2 || guest.HasFailed, "the guest goes on");
            await guest.StopAsync();
            await frontend!.DisposeAsync();
        }

        await last.DieAsync();
    }

    // Kills a process at the guest's next request: before the data reaches the guest, unless at a later call.
    private static async Task KillAsync(MortalHost xen, BlockBackend process, BlkifFrontend frontend, int call = 1)
    {
        xen.DieAt(call);
        frontend.Queue.Put(BlkifOperation.Read, 0, 0, 512);
        frontend.Queue.Push();
        await Eventually.Ends(xen.Died, "the process is dead");
        await process.DisposeAsync();
        xen.Dispose();
    }

    private static void TakesTheAnswer(BlkifFrontend frontend)
    {
        Assert.That(frontend.Queue.Wait(10_000), Is.True, "the guest is notified");
        Assert.That(frontend.Queue.TryTake(out FrontendCompletion answer), Is.True);
        Assert.That(answer, Is.EqualTo(new FrontendCompletion(0, BlkifOperation.Read, BlkifStatus.Okay)));
    }

    // What processes had taken that are killed goes with them, and is not looked for in the end.
    private static BackendOptions Options(Stage stage, TemporaryFolder folder) =>
        stage.Options with { StateFolder = folder.Path, DetachTimeout = TimeSpan.Zero, MemoryBudget = new MemoryBudget(long.MaxValue) };

    private static Dictionary<string, string?> Nodes(Stage stage) =>
        stage.Xen.Store.List(Stage.Be).ToDictionary(key => key, stage.ReadBe, StringComparer.Ordinal);
}
