using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;
using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.Tests.Backend;

/// <summary>Disks that become larger or smaller while a guest has them.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class ResizeTests
{
    private const int MiB = 1 << 20;

    [TestCase(2 * MiB, "4096")]
    [TestCase(MiB / 2, "1024")]
    public async Task A_connected_guest_is_told_of_a_new_size_by_its_state_being_written_once_more(int length, string sectors)
    {
        var disk = new ElasticTarget(MiB, 4 * MiB);
        await using var stage = new Stage(disk);
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        var seen = new ConcurrentQueue<(string? State, string? Sectors)>();
        using IDisposable watch = stage.Guest.Store.Watch($"{Stage.Be}/state", _ => seen.Enqueue((stage.ReadBe("state"), stage.ReadBe("sectors"))));
        stage.Xen.Store.WaitUntilIdle(-1);
        seen.Clear();

        disk.Length = length;
        backend.RefreshSize();
        await Eventually.IsTrue(() => !seen.IsEmpty, "the guest is told");
        Assert.That(seen, Is.EqualTo(new[] { ("4", sectors) }));
        Assert.That(backend.State, Is.EqualTo(XenbusState.Connected));
    }

    [Test]
    public async Task The_new_part_of_a_disk_that_grew_is_served_and_what_is_beyond_is_not()
    {
        var disk = new ElasticTarget(MiB, 4 * MiB);
        await using var stage = new Stage(disk);
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        Assert.That(() => frontend.Disk.Write(MiB, new byte[512]), Throws.TypeOf<BlkifRequestException>());

        disk.Length = 2 * MiB;
        await Refresh(stage, backend, "4096");
        byte[] written = Enumerable.Range(0, MiB).Select(i => (byte)(i % 251)).ToArray();
        byte[] read = new byte[MiB];
        frontend.Disk.Write(MiB, written);
        frontend.Disk.Read(MiB, read);
        Assert.That(read.AsSpan().SequenceEqual(written), Is.True, "what was written into the new part comes back");
        Assert.That(() => frontend.Disk.Write(2 * MiB, new byte[512]), Throws.TypeOf<BlkifRequestException>());
        Assert.That(disk.Reached, Is.EqualTo(2 * MiB));
    }

    [Test]
    public async Task Beyond_the_end_of_a_disk_that_shrank_nothing_reaches_the_target()
    {
        var disk = new ElasticTarget(2 * MiB, 2 * MiB);
        await using var stage = new Stage(disk);
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        disk.Length = MiB;
        await Refresh(stage, backend, "2048");
        Assert.That(() => frontend.Disk.Read(MiB, new byte[512]), Throws.TypeOf<BlkifRequestException>());
        Assert.That(() => frontend.Disk.Write(MiB - 512, new byte[1024]), Throws.TypeOf<BlkifRequestException>());
        Assert.That(() => frontend.Disk.Discard(0, 2 * MiB), Throws.TypeOf<BlkifRequestException>());
        Assert.That(disk.Reached, Is.Zero);
        frontend.Disk.Write(MiB - 512, new byte[512]);
        Assert.That(disk.Reached, Is.EqualTo(MiB));
    }

    [TestCase(2 * MiB, true)]
    [TestCase(MiB / 2, false)]
    public async Task Requests_are_held_to_the_new_size_before_the_store_has_it(int length, bool served)
    {
        var disk = new ElasticTarget(MiB, 4 * MiB);
        await using var stage = new Stage(disk);
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        bool? servedBefore = null;
        stage.Xen.Store.Fault = (operation, path) =>
        {
            if (operation == StoreOperation.Write && path == $"{Stage.Be}/sectors")
                servedBefore = Reads(frontend, Math.Max(length, MiB) - 512);
            return null;
        };
        disk.Length = length;
        await Refresh(stage, backend, $"{length / 512}");
        stage.Xen.Store.Fault = null;
        Assert.That(servedBefore, Is.EqualTo(served));
    }

    [Test]
    public async Task An_operator_reads_one_line_for_each_new_size_and_a_warning_where_it_shrank()
    {
        var disk = new ElasticTarget(MiB, 4 * MiB);
        await using var stage = new Stage(disk);
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        disk.Length = 2 * MiB;
        await Refresh(stage, backend, "4096");
        await Eventually.IsTrue(() => SizeLines(stage, LogLevel.Information).Length == 1, "the line is there");
        Assert.That(stage.Warnings(), Is.Empty);

        disk.Length = (2 * MiB) - 512;
        await Refresh(stage, backend, "4095");
        await Eventually.IsTrue(() => stage.Warnings().Length == 1, "the warning is there");
        backend.RefreshSize();
        backend.RefreshSize();
        await backend.DisposeAsync();
        Assert.That(SizeLines(stage, LogLevel.Information), Is.EqualTo(new[]
        {
            "5/xvda: size is now 2 MiB (4096 sectors)",
            "5/xvda: size is now 2 MiB (4095 sectors), less than the 2 MiB before: the guest has lost what was beyond",
        }));
    }

    [Test]
    public async Task A_disk_that_is_offered_and_not_connected_is_offered_with_its_new_size_and_no_state_is_written()
    {
        var disk = new ElasticTarget(MiB, 4 * MiB);
        await using var stage = new Stage(disk);
        await using BlockBackend backend = await stage.AttachAsync();
        var writes = Writes(stage);
        disk.Length = 3 * MiB;
        await Refresh(stage, backend, "6144");
        Assert.That(writes, Is.EqualTo(new[] { "sectors" }));

        stage.Xen.Store.Fault = null;
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        Assert.That(frontend.Length, Is.EqualTo(3 * MiB));
        Assert.That(Reads(frontend, (3 * MiB) - 512), Is.True);
        Assert.That(Reads(frontend, 3 * MiB), Is.False);
    }

    [Test]
    public async Task A_disk_that_is_closed_has_its_new_size_in_the_next_offer()
    {
        var disk = new ElasticTarget(MiB, 4 * MiB);
        await using var stage = new Stage(disk);
        await using BlockBackend backend = await stage.AttachAsync();
        await using (BlkifFrontend first = await stage.ConnectAsync())
        {
            await first.CloseAsync();
            await stage.BackendIs(XenbusState.Closed);
            var writes = Writes(stage);
            disk.Length = 2 * MiB;
            backend.RefreshSize();
            first.Announce(XenbusState.Initialising);
            await stage.BackendIs(XenbusState.InitWait);
            stage.Xen.Store.Fault = null;
            Assert.That(writes.Count(key => key == "sectors"), Is.EqualTo(1), "with the offer and not before");
        }

        await using BlkifFrontend frontend = await stage.ConnectAsync();
        Assert.That(frontend.Length, Is.EqualTo(2 * MiB));
        Assert.That(SizeLines(stage, LogLevel.Information), Is.EqualTo(new[] { "5/xvda: size is now 2 MiB (4096 sectors)" }));
    }

    [Test]
    public async Task A_state_that_a_toolstack_asks_for_is_not_written_over()
    {
        var disk = new ElasticTarget(MiB, 4 * MiB);
        await using var stage = new Stage(disk);
        await using BlockBackend backend = await stage.AttachAsync();
        using FrontendQueue queue = stage.OfferRing();
        stage.WriteFe("state", "4");
        await stage.BackendIs(XenbusState.Connected);

        // The guest does not follow.
        stage.ToolstackDetaches();
        disk.Length = 2 * MiB;
        await Refresh(stage, backend, "4096");
        Assert.That(stage.ReadBe("state"), Is.EqualTo("5"));
        stage.WriteFe("state", "6");
        await Eventually.Ends(backend.Completion, "the device has ended");
    }

    [Test]
    public async Task A_read_only_disk_grows_and_stays_read_only()
    {
        var disk = new ElasticTarget(MiB, 4 * MiB);
        await using var stage = new Stage(new ReadOnlyTarget(disk));
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        disk.Length = 2 * MiB;
        await Refresh(stage, backend, "4096");
        Assert.That(Reads(frontend, (2 * MiB) - 512), Is.True);
        Assert.That(() => frontend.Disk.Write((2 * MiB) - 512, new byte[512]), Throws.TypeOf<BlkifRequestException>());
    }

    [Test]
    public async Task A_size_that_no_disk_can_have_changes_nothing()
    {
        var disk = new ElasticTarget(MiB, 4 * MiB) { LogicalSectorSize = 4096 };
        await using var stage = new Stage(disk);
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        foreach (long length in new long[] { MiB + 512, MiB + 1, 0, -512 })
        {
            int before = stage.Warnings().Length;
            disk.Length = length;
            backend.RefreshSize();
            await Eventually.IsTrue(() => stage.Warnings().Length > before, "the operator is told");
            Assert.That(stage.Warnings()[^1], Is.EqualTo("5/xvda: size stays 1 MiB: the target does not say a size that a disk can have"));
            Assert.That((stage.ReadBe("sectors"), backend.State), Is.EqualTo(("2048", XenbusState.Connected)));
        }

        Stage.DoesIo(frontend);
        disk.Length = 2 * MiB;
        await Refresh(stage, backend, "4096");
    }

    [Test]
    public async Task A_target_that_throws_when_it_is_asked_is_served_as_what_it_was()
    {
        var disk = new ElasticTarget(MiB, 4 * MiB);
        await using var stage = new Stage(disk);
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        disk.Trouble = new IOException("the array is gone");
        backend.RefreshSize();
        await Eventually.IsTrue(() => stage.Warnings().Length == 1, "the operator is told");
        Stage.DoesIo(frontend);
        Assert.That((stage.ReadBe("sectors"), backend.State), Is.EqualTo(("2048", XenbusState.Connected)));
    }

    [Test]
    public async Task A_size_that_the_store_did_not_take_is_written_again()
    {
        var disk = new ElasticTarget(MiB, 4 * MiB);
        await using var stage = new Stage(disk);
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        int attempts = 0;
        stage.Xen.Store.Fault = (operation, path) =>
            operation == StoreOperation.Write && path == $"{Stage.Be}/sectors" && ++attempts == 1 ? new HypervisorException("not now") : null;
        disk.Length = 2 * MiB;
        await Refresh(stage, backend, "4096");
        stage.Xen.Store.Fault = null;
        Assert.That(attempts, Is.EqualTo(2));
    }

    [Test]
    public async Task Any_number_of_threads_may_ask_while_the_guest_uses_the_disk_and_the_last_size_is_what_it_gets()
    {
        var disk = new ElasticTarget(MiB, 4 * MiB);
        await using var stage = new Stage(disk);
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        Task[] askers = [.. Enumerable.Range(0, 4).Select(seed => Task.Run(() =>
        {
            var random = new Random(seed);
            for (int i = 0; i < 200; i++)
            {
                disk.Length = MiB + (random.Next(6000) * 512L);
                backend.RefreshSize();
            }
        }))];
        for (int i = 0; i < 20; i++)
            Stage.DoesIo(frontend, seed: i);
        await Task.WhenAll(askers);
        disk.Length = 2 * MiB;
        await Refresh(stage, backend, "4096");
        Assert.That(Reads(frontend, (2 * MiB) - 512), Is.True);
        Assert.That(Reads(frontend, 2 * MiB), Is.False);
    }

    [Test]
    public async Task A_device_that_has_ended_is_asked_in_vain()
    {
        var disk = new ElasticTarget(MiB, 4 * MiB);
        await using var stage = new Stage(disk);
        BlockBackend backend = await stage.AttachAsync();
        await backend.DisposeAsync();
        disk.Length = 2 * MiB;
        backend.RefreshSize();
        stage.AssertNothingLeft();
    }

    [TestCase(0)]
    [TestCase(4)]
    [Platform("Linux")]
    public async Task A_file_that_is_made_longer_under_a_live_disk_is_a_larger_disk(int workers)
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        await using (FileTarget file = FileTarget.Open(path, new FileTargetOptions { Workers = workers }))
        await using (var stage = new Stage(file))
        await using (BlockBackend backend = await stage.AttachAsync())
        await using (BlkifFrontend frontend = await stage.ConnectAsync())
        {
            frontend.Disk.Write(0, Filled(1));
            FileTargetTests.Truncate(path, 3 * MiB);
            await Refresh(stage, backend, "6144");
            frontend.Disk.Write((3 * MiB) - 512, Filled(2));
            frontend.Disk.Flush();
        }

        byte[] content = File.ReadAllBytes(path);
        Assert.That(content, Has.Length.EqualTo(3 * MiB));
        Assert.That((content[511], content[512], content[^513], content[^512]), Is.EqualTo(((byte)1, (byte)0, (byte)0, (byte)2)));
    }

    private static async Task Refresh(Stage stage, BlockBackend backend, string sectors)
    {
        backend.RefreshSize();
        await Eventually.IsTrue(() => stage.ReadBe("sectors") == sectors, () => $"sectors is {sectors}, it is {stage.ReadBe("sectors")}");
    }

    private static bool Reads(BlkifFrontend frontend, long offset)
    {
        try
        {
            frontend.Disk.Read(offset, new byte[512]);
            return true;
        }
        catch (BlkifRequestException)
        {
            return false;
        }
    }

    // The keys of the backend's half that are written from now on.
    private static ConcurrentQueue<string> Writes(Stage stage)
    {
        var keys = new ConcurrentQueue<string>();
        stage.Xen.Store.Fault = (operation, path) =>
        {
            if (operation == StoreOperation.Write && path.StartsWith(Stage.Be, StringComparison.Ordinal))
                keys.Enqueue(path[(Stage.Be.Length + 1)..]);
            return null;
        };
        return keys;
    }

    private static string[] SizeLines(Stage stage, LogLevel level) => [.. stage.Log.AtLeast(level).Where(line => line.Contains("size"))];

    private static byte[] Filled(byte value) => [.. Enumerable.Repeat(value, 512)];
}
