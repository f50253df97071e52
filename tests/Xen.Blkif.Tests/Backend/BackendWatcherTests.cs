using System.Globalization;
using Microsoft.Extensions.Logging;
using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Backend;

[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class BackendWatcherTests
{
    private const string Root = "/local/domain/0/backend/qdisk";

    [Test]
    public async Task Disks_that_were_there_before_and_disks_that_come_later_are_served()
    {
        using var xen = new SimulatedXen();
        using SimulatedGuest first = xen.CreateGuest(1);
        using SimulatedGuest second = xen.CreateGuest(2);
        Offer(xen, first, "xvda", "memory");
        var asked = new List<OfferedDisk>();
        await using (var watcher = new BackendWatcher(xen, disk => Open(asked, disk), new BackendOptions { BackendType = "qdisk" }))
        {
            await ServesAsync(first, "xvda");
            Offer(xen, second, "xvdb", "memory");
            await ServesAsync(second, "xvdb");
            Assert.That(watcher.Devices.Select(device => device.Name), Is.EquivalentTo(new[] { "1/xvda", "2/xvdb" }));
        }

        Assert.That(asked.Select(disk => disk.Params), Is.EqualTo(new[] { "memory", "memory" }));
        Assert.That(xen.Grants.MappedPages, Is.Zero);
        Assert.That(xen.Store.Watches, Is.Zero);
    }

    [Test]
    [Property("Advisory", "XSA-142")]
    public async Task What_the_toolstack_says_of_a_disk_reaches_whoever_opens_it_and_the_guest()
    {
        using var xen = new SimulatedXen();
        using SimulatedGuest guest = xen.CreateGuest(1);
        Offer(xen, guest, "xvda", "aio:/srv/a disk.img", ("mode", "r"), ("device-type", "cdrom"), ("discard-enable", "0"));
        var asked = new List<OfferedDisk>();
        await using var watcher = new BackendWatcher(xen, disk => Open(asked, disk), new BackendOptions { BackendType = "qdisk" });
        await using BlkifFrontend frontend = await BlkifFrontend.ConnectAsync(guest, "xvda");

        Assert.That(asked.Single(), Is.EqualTo(
            new OfferedDisk(1, VirtualDevice.Parse("xvda"), "aio:/srv/a disk.img", IsReadOnly: true, IsCdrom: true, AllowsDiscard: false)));
        Assert.That(xen.Store.Read($"{Root}/1/51712/info"), Is.EqualTo("7"), "CD-ROM, removable, read-only");
        Assert.That(frontend.HasDiscard, Is.False);
    }

    [Test]
    public async Task A_disk_that_cannot_be_opened_gets_the_reason_and_the_others_are_served()
    {
        using var xen = new SimulatedXen();
        using SimulatedGuest guest = xen.CreateGuest(1);
        Offer(xen, guest, "xvda", "missing");
        Offer(xen, guest, "xvdb", "memory");
        await using var watcher = new BackendWatcher(
            xen, disk => disk.Params == "missing" ? throw new TargetException("The image 'missing' does not exist.") : new MemoryTarget(1 << 20), new BackendOptions { BackendType = "qdisk" });

        await ServesAsync(guest, "xvdb");
        await Eventually.IsTrue(() => xen.Store.Read($"{Root}/1/51712/state") == "6", "the bad disk is closed");
        Assert.That(xen.Store.Read($"{Root}/1/51712/hotplug-status"), Is.EqualTo("error"));
        Assert.That(xen.Store.Read($"{Root}/1/51712/hotplug-error"), Is.EqualTo("The image 'missing' does not exist."));
        Assert.That(xen.Store.Read("/local/domain/0/error/backend/qdisk/1/51712/error"), Is.EqualTo("The image 'missing' does not exist."));
    }

    [Test]
    public async Task A_disk_that_is_taken_away_and_offered_again_is_served_again()
    {
        using var xen = new SimulatedXen();
        using SimulatedGuest guest = xen.CreateGuest(1);
        await using var watcher = new BackendWatcher(xen, _ => new MemoryTarget(1 << 20), new BackendOptions { BackendType = "qdisk" });
        for (int round = 0; round < 3; round++)
        {
            Offer(xen, guest, "xvda", "memory");
            await ServesAsync(guest, "xvda");
            xen.Store.Remove($"{Root}/1/51712");
            await Eventually.IsTrue(() => watcher.Devices.Count == 0, "the disk has ended");
        }
    }

    [Test]
    public async Task Strange_names_in_the_folder_are_passed_over()
    {
        using var xen = new SimulatedXen();
        using SimulatedGuest guest = xen.CreateGuest(1);
        foreach (string path in new[] { "x/51712", "99999/51712", "1/abc", "1/-5" })
        {
            xen.Store.Write($"{Root}/{path}/online", "1");
            xen.Store.Write($"{Root}/{path}/state", "1");
        }

        Offer(xen, guest, "xvda", "memory");
        await using var watcher = new BackendWatcher(xen, _ => new MemoryTarget(1 << 20), new BackendOptions { BackendType = "qdisk" });
        await ServesAsync(guest, "xvda");
        Assert.That(watcher.Devices, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task The_sizes_of_all_disks_are_read_again_when_asked()
    {
        using var xen = new SimulatedXen();
        using SimulatedGuest guest = xen.CreateGuest(1);
        var disks = new Dictionary<string, ElasticTarget> { ["a"] = new(1 << 20, 4 << 20), ["b"] = new(1 << 20, 4 << 20) };
        Offer(xen, guest, "xvda", "a");
        Offer(xen, guest, "xvdb", "b");
        await using var watcher = new BackendWatcher(xen, disk => disks[disk.Params], new BackendOptions { BackendType = "qdisk" });
        await ServesAsync(guest, "xvda");
        await using BlkifFrontend frontend = await BlkifFrontend.ConnectAsync(guest, "xvdb");
        await Eventually.IsTrue(() => watcher.Devices.Count == 2, "both are served");
        disks["a"].Length = 2 << 20;
        disks["b"].Length = 3 << 20;
        watcher.RefreshSizes();
        await Eventually.IsTrue(() => xen.Store.Read($"{Root}/1/51712/sectors") == "4096", "the first has its new size");
        await Eventually.IsTrue(() => xen.Store.Read($"{Root}/1/51728/sectors") == "6144", "the second has its new size");
        frontend.Disk.Write((3 << 20) - 512, new byte[512]);
    }

    [Test]
    public async Task A_disk_that_nobody_can_look_at_hides_none_of_the_others([Values] bool storeFails)
    {
        using var xen = new SimulatedXen();
        using SimulatedGuest guest = xen.CreateGuest(1);
        Offer(xen, guest, "xvda", "memory");
        Exception trouble = storeFails ? new HypervisorException("not this one") : new InvalidOperationException("not this one");
        xen.Store.Fault = (_, path) => path.StartsWith($"{Root}/1/51712/", StringComparison.Ordinal) ? trouble : null;
        var log = new LogLines();
        await using var watcher = new BackendWatcher(
            xen, _ => new MemoryTarget(1 << 20), new BackendOptions { BackendType = "qdisk", LoggerFactory = log });
        await Eventually.IsTrue(() => log.AtLeast(LogLevel.Warning).Length > 0, "the bad disk was looked at");
        Offer(xen, guest, "xvdb", "memory");
        await ServesAsync(guest, "xvdb");
        Assert.That(log.AtLeast(LogLevel.Warning), Is.All.EqualTo($"{Root}/1/51712 cannot be looked through"));
        xen.Store.Fault = null;
        xen.Store.Write($"{Root}/1/51712/touched", "");
        await ServesAsync(guest, "xvda");
    }

    [Test]
    public async Task A_scan_that_threw_is_not_the_last()
    {
        using var xen = new SimulatedXen();
        using SimulatedGuest guest = xen.CreateGuest(1);
        var log = new LogLines();
        xen.Store.Fault = (operation, path) => operation == StoreOperation.List && path == Root ? new InvalidOperationException("no list") : null;
        await using var watcher = new BackendWatcher(
            xen, _ => new MemoryTarget(1 << 20), new BackendOptions { BackendType = "qdisk", LoggerFactory = log });
        await Eventually.IsTrue(() => log.AtLeast(LogLevel.Warning).Length > 0, "a scan threw");
        xen.Store.Fault = null;
        Offer(xen, guest, "xvda", "memory");
        await ServesAsync(guest, "xvda");
    }

    [Test]
    public async Task A_target_that_throws_when_it_is_closed_keeps_no_reason_from_the_toolstack()
    {
        using var xen = new SimulatedXen();
        using SimulatedGuest guest = xen.CreateGuest(1);
        Offer(xen, guest, "xvda", "stuck");
        Offer(xen, guest, "xvdb", "memory");
        xen.Store.Remove("/local/domain/1/device/vbd/51712");
        await using var watcher = new BackendWatcher(
            xen, disk => disk.Params == "stuck" ? new Stuck() : new MemoryTarget(1 << 20), new BackendOptions { BackendType = "qdisk" });
        await ServesAsync(guest, "xvdb");
        await Eventually.IsTrue(() => xen.Store.Read($"{Root}/1/51712/hotplug-error") is not null, "the reason is there");
        Assert.That(xen.Store.Read($"{Root}/1/51712/state"), Is.EqualTo("6"));
    }

    [Test]
    public void A_store_that_takes_no_watch_is_said_to_who_starts_the_watcher()
    {
        using var xen = new SimulatedXen();
        xen.Store.Fault = (operation, _) => operation == StoreOperation.Watch ? new HypervisorException("no room") : null;
        Assert.That(() => new BackendWatcher(xen, _ => new MemoryTarget(1 << 20)), Throws.TypeOf<HypervisorException>().With.Message.EqualTo("no room"));
    }

    private static MemoryTarget Open(List<OfferedDisk> asked, OfferedDisk disk)
    {
        asked.Add(disk);
        return new MemoryTarget(1 << 20);
    }

    private static async Task ServesAsync(SimulatedGuest guest, string vdev)
    {
        await using BlkifFrontend frontend = await BlkifFrontend.ConnectAsync(guest, vdev);
        byte[] data = new byte[8192];
        new Random(1).NextBytes(data);
        frontend.Disk.Write(4096, data);
        byte[] read = new byte[data.Length];
        frontend.Disk.Read(4096, read);
        Assert.That(read, Is.EqualTo(data));
    }

    // Both halves in one transaction, as a toolstack does.
    private static void Offer(SimulatedXen xen, SimulatedGuest guest, string vdev, string parameters, params (string Key, string Value)[] more)
    {
        string number = VirtualDevice.Parse(vdev).Number.ToString(CultureInfo.InvariantCulture);
        string backend = $"{Root}/{guest.Id}/{number}";
        string frontend = $"/local/domain/{guest.Id}/device/vbd/{number}";
        using IXenStoreTransaction store = xen.Store.BeginTransaction();
        store.Write(backend, "");
        store.SetPermissions(backend, 0, XenStorePermission.None, new XenStoreEntry(guest.Id, XenStorePermission.Read));
        store.Write(frontend, "");
        store.SetPermissions(frontend, guest.Id, XenStorePermission.None, new XenStoreEntry(0, XenStorePermission.ReadWrite));
        (string, string)[] keys =
        [
            ("frontend", frontend), ("frontend-id", guest.Id.ToString()), ("online", "1"), ("dev", vdev), ("mode", "w"), ("device-type", "disk"),
            ("params", parameters), .. more, ("state", "1"),
        ];
        foreach ((string key, string value) in keys)
            store.Write($"{backend}/{key}", value);
        store.Write($"{frontend}/backend", backend);
        store.Write($"{frontend}/backend-id", "0");
        store.Write($"{frontend}/state", "1");
        Assert.That(store.TryCommit(), Is.True);
    }

    private sealed class Stuck : IBlockTarget
    {
        public BlockTargetInfo Info { get; } = new(1 << 20);

        public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) => throw new NotSupportedException();

        public ValueTask DisposeAsync() => throw new InvalidOperationException("stuck");
    }
}
