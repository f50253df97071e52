using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Samples.Host.Status;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;
using Xen.Blkif.Tests.Backend;
using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.Samples.Host.Tests.Status;

/// <summary>What a process that serves disks tells of them by its socket, and what it does not let clients do to it.</summary>
internal sealed class StatusSocketTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    // More than a socket holds, so that whoever does not read keeps the server writing.
    private static readonly DiskReport[] Many = [.. Enumerable.Range(0, 20_000).Select(number => Report($"5/{number}"))];

    private readonly LogLines _logs = new();

    [Test]
    public async Task A_client_learns_what_a_disk_is_and_did()
    {
        using var folder = new TemporaryFolder();
        using var xen = new SimulatedXen();
        using SimulatedGuest guest = xen.CreateGuest(5);
        await using var target = new MemoryTarget(1 << 20);
        await using BlockBackend vbd = await BlockBackend.AttachAsync(xen, guest.Id, "xvda", target);
        await using BlkifFrontend frontend = await BlkifFrontend.ConnectAsync(guest, "xvda", new FrontendOptions { Protocol = BlkifProtocol.X86, RingPageOrder = 2 });
        await using StatusServer server = Start(folder, () => [DiskReport.Of(vbd, xen.Store, "memory:1M")]);
        frontend.Disk.Write(0, new byte[4096]);
        frontend.Disk.Write(4096, new byte[512]);
        frontend.Disk.Read(0, new byte[1024]);
        frontend.Disk.Flush();

        ProcessReport report = (await AskAsync(folder)).Single();

        Assert.That(report.Pid, Is.EqualTo(Environment.ProcessId));
        DiskReport disk = report.Disks.Single();
        Assert.That(
            (disk.Name, disk.Backend, disk.State, disk.Target, disk.Protocol, disk.RingPages, disk.GuestMemory, disk.Queues),
            Is.EqualTo(("5/xvda", vbd.Path, "Connected", "memory:1M", "x86_32", 4, "copy", 1)));
        (OperationReport read, OperationReport write) = (disk.Operations.Read, disk.Operations.Write);
        Assert.That((write.Done, write.Bytes, write.Failed, write.Refused), Is.EqualTo((2, 4608, 0, 0)));
        Assert.That((read.Done, read.Bytes), Is.EqualTo((1, 1024)));
        Assert.That((disk.Operations.Flush.Done, disk.Operations.Discard.Done, disk.Operations.Errors), Is.EqualTo((1, 0, 0)));
        Assert.That(write.P50Microseconds, Is.GreaterThan(0).And.LessThanOrEqualTo(write.P99Microseconds!));
        Assert.That(disk.Operations.Discard.P99Microseconds, Is.Null);
    }

    [Test]
    public async Task The_target_of_a_disk_that_a_toolstack_made_is_what_the_toolstack_wrote()
    {
        using var xen = new SimulatedXen();
        using SimulatedGuest guest = xen.CreateGuest(5);
        await using var target = new MemoryTarget(1 << 20);
        await using BlockBackend vbd = await BlockBackend.AttachAsync(xen, guest.Id, "xvda", target);
        xen.Store.Write($"{vbd.Path}/params", "aio:/srv/web.img");
        DiskReport report = DiskReport.Of(vbd, xen.Store);
        Assert.That((report.Target, report.Protocol, report.RingPages, report.GuestMemory), Is.EqualTo(("aio:/srv/web.img", (string?)null, (int?)null, (string?)null)));
    }

    [Test]
    public async Task Clients_that_never_read_hold_up_neither_others_nor_the_end()
    {
        using var folder = new TemporaryFolder();
        StatusServer server = Start(folder, () => Many);
        var idle = new List<Socket>();
        for (int client = 0; client < 5; client++)
        {
            idle.Add(new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified));
            await idle[client].ConnectAsync(new UnixDomainSocketEndPoint(SocketOf(folder)));
        }

        Assert.That((await AskAsync(folder)).Single().Disks, Has.Count.EqualTo(Many.Length));
        await Eventually.Ends(server.DisposeAsync().AsTask(), "the server ended");
        idle.ForEach(client => client.Dispose());
    }

    [Test]
    public async Task Clients_that_go_away_or_talk_change_nothing()
    {
        using var folder = new TemporaryFolder();
        await using StatusServer server = Start(folder, () => Many);
        for (int client = 0; client < 50; client++)
        {
            using var rude = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await rude.ConnectAsync(new UnixDomainSocketEndPoint(SocketOf(folder)));
            await rude.SendAsync(new byte[100]);
        }

        Assert.That((await AskAsync(folder)).Single().Disks, Has.Count.EqualTo(Many.Length));
    }

    [Test]
    public async Task Many_clients_at_once_are_all_answered()
    {
        using var folder = new TemporaryFolder();
        await using StatusServer server = Start(folder, () => [Report("5/xvda")]);
        IReadOnlyList<ProcessReport>[] answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => AskAsync(folder)));
        Assert.That(answers.Select(answer => answer.Single().Disks.Single().Name), Is.All.EqualTo("5/xvda"));
    }

    [Test]
    public async Task A_report_that_cannot_be_made_costs_that_client_its_answer_and_no_other()
    {
        using var folder = new TemporaryFolder();
        int asked = 0;
        await using StatusServer server = Start(folder, () => ++asked == 1 ? throw new HypervisorException("xenstored is gone") : [Report("5/xvda")]);
        Assert.That(await AskAsync(folder, warned: true), Is.Empty);
        Assert.That((await AskAsync(folder)).Single().Disks, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task The_folder_is_the_owners_alone_and_empty_in_the_end()
    {
        using var parent = new TemporaryFolder();
        string folder = parent.PathOf("xen-blkif");
        await using (StatusServer.TryStart(folder, () => [], _logs))
        {
#pragma warning disable CA1416 // no Xen host is a Windows
            Assert.That(File.GetUnixFileMode(folder), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute));
#pragma warning restore CA1416
            Assert.That(Directory.GetFileSystemEntries(folder), Is.EqualTo(new[] { Path.Combine(folder, $"{Environment.ProcessId}.sock") }));
        }

        Assert.That(Directory.GetFileSystemEntries(folder), Is.Empty);
    }

    [TestCase("file/folder")]
    [TestCase("a/name/that/is/longer/than/any/name/of/a/socket/may/be/which/is/one/hundred/and/seven/bytes/and/not/one/byte/more")]
    public void A_socket_that_cannot_be_made_costs_a_warning(string name)
    {
        using var parent = new TemporaryFolder();
        File.WriteAllText(parent.PathOf("file"), "");
        Assert.That(StatusServer.TryStart(parent.PathOf(name), () => [], _logs), Is.Null);
        Assert.That(_logs.AtLeast(LogLevel.Warning), Has.Some.Contains(parent.PathOf(name)));
    }

    [Test]
    public async Task Without_a_folder_nobody_serves() => Assert.That(await StatusClient.AskAllAsync("/no/such/folder", Patience, Assert.Fail), Is.Empty);

    [Test]
    public async Task The_socket_of_a_process_that_died_is_skipped_and_removed()
    {
        using var folder = new TemporaryFolder();
        await using StatusServer server = Start(folder, () => [Report("5/xvda")]);
        string left = folder.PathOf("1.sock");
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            // Closing it would remove the name that it was bound to.
            dead.Bind(new UnixDomainSocketEndPoint(folder.PathOf("dead")));
            File.Move(folder.PathOf("dead"), left);
        }

        Assert.That(await AskAsync(folder), Has.Count.EqualTo(1));
        Assert.That((File.Exists(left), File.Exists(SocketOf(folder))), Is.EqualTo((false, true)));
    }

    [Test]
    public async Task A_process_that_does_not_answer_costs_a_warning_and_leaves_the_others_to_be_seen()
    {
        using var folder = new TemporaryFolder();
        await using StatusServer server = Start(folder, () => [Report("5/xvda")]);
        using var silent = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        silent.Bind(new UnixDomainSocketEndPoint(folder.PathOf("1.sock")));
        silent.Listen();

        var warnings = new List<string>();
        IReadOnlyList<ProcessReport> reports = await StatusClient.AskAllAsync(folder.Path, TimeSpan.FromSeconds(6), warnings.Add);

        Assert.That(reports, Has.Count.EqualTo(1));
        Assert.That(warnings, Has.Count.EqualTo(1).And.Some.Contains("1.sock"));
    }

    private static string SocketOf(TemporaryFolder folder) => folder.PathOf($"{Environment.ProcessId}.sock");

    private static DiskReport Report(string name) => new(name, $"/backend/{name}", "Connected", null, null, null, null, 0, OperationsReport.Of([]));

    private StatusServer Start(TemporaryFolder folder, Func<IReadOnlyList<DiskReport>> disks) => StatusServer.TryStart(folder.Path, disks, _logs)!;

    private static async Task<IReadOnlyList<ProcessReport>> AskAsync(TemporaryFolder folder, bool warned = false)
    {
        int warnings = 0;
        IReadOnlyList<ProcessReport> reports = await StatusClient.AskAllAsync(folder.Path, Patience, _ => Interlocked.Increment(ref warnings));
        Assert.That(warnings, Is.EqualTo(warned ? 1 : 0));
        return reports;
    }
}
