using System.Numerics;
using Xen.Blkif.Backend;
using Xen.Blkif.Engine;
using Xen.Blkif.Protocol;
using Xen.Blkif.Tests.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Backend.Restart;

[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class JournalFileTests
{
    [Test]
    public void A_file_has_one_holder_and_goes_with_the_end_of_its_device()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "journal");
        JournalFile first = JournalFile.TryOpen(path)!;
        Assert.That(first.WasLeft, Is.False);
        Assert.That(JournalFile.TryOpen(path), Is.Null);
        first.Close(hasEnded: true);
        Assert.That(File.Exists(path), Is.False);

        JournalFile next = JournalFile.TryOpen(path)!;
        Assert.That(next.WasLeft, Is.False);
        next.Close(hasEnded: true);
        Assert.That(folder.OpenFiles(), Is.Empty);
    }

    [Test]
    public void What_was_noted_is_there_for_the_next_holder_and_only_about_the_ring_that_it_was_noted_for()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "journal");
        JournalFile first = JournalFile.TryOpen(path)!;
        first.Begin(Keys(port: 1, page: 8));
        first.JournalOf(0).Take(5, new X64Request { Id = 55 });
        first.Close(hasEnded: false);

        JournalFile next = JournalFile.TryOpen(path)!;
        Assert.That(next.WasLeft, Is.True);
        Assert.That(next.IsAbout(Keys(port: 1, page: 8)), Is.True);
        Assert.That(next.IsAbout(Keys(port: 11, page: 8)), Is.False);
        Assert.That(next.IsAbout(Keys(port: 1, page: 88)), Is.False);
        Assert.That(next.IsAbout(Keys(port: 1, page: 8, protocol: "x86_32-abi")), Is.False);
        Assert.That(next.JournalOf(0).Settle(0, 32), Is.EqualTo(new[] { 5 }));

        next.Begin(Keys(port: 2, page: 8));
        Assert.That((next.IsAbout(Keys(port: 1, page: 8)), next.IsAbout(Keys(port: 2, page: 8))), Is.EqualTo((false, true)));
        Assert.That(next.JournalOf(0).Settle(0, RingJournal.Slots), Is.Empty);
        next.Forget();
        Assert.That(next.IsAbout(Keys(port: 2, page: 8)), Is.False);
        next.Close(hasEnded: true);
    }

    [Test]
    public void A_file_that_was_killed_in_its_making_is_made_again()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Add("journal", [1, 2, 3]);
        JournalFile file = JournalFile.TryOpen(path)!;
        Assert.That(file.WasLeft, Is.False);
        Assert.That(file.IsAbout(Keys(port: 1, page: 8)), Is.False);
        Assert.That(file.JournalOf(0).Settle(0, RingJournal.Slots), Is.Empty);
        file.Close(hasEnded: true);
    }

    [Test]
    public void Each_queue_has_records_of_its_own_for_which_the_file_grows()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "journal");
        JournalFile first = JournalFile.TryOpen(path)!;
        first.Begin(Keys(queues: 1));
        first.JournalOf(0).Take(7, new X64Request { Id = 77 });
        first.Begin(Keys(queues: 3));
        for (int queue = 0; queue < 3; queue++)
            Assert.That(first.JournalOf(queue).Settle(0, RingJournal.Slots), Is.Empty);
        first.JournalOf(1).Take(RingJournal.Slots - 1, new X64Request { Id = 1 });
        first.JournalOf(2).Take(0, new X64Request { Id = 2 });
        first.Close(hasEnded: false);

        JournalFile next = JournalFile.TryOpen(path)!;
        Assert.That((next.WasLeft, next.IsAbout(Keys(queues: 3)), next.IsAbout(Keys(queues: 2))), Is.EqualTo((true, true, false)));
        Assert.That(
            Enumerable.Range(0, 3).Select(queue => next.JournalOf(queue).Settle(0, RingJournal.Slots)),
            Is.EqualTo(new[] { Array.Empty<int>(), [RingJournal.Slots - 1], [0] }));
        next.Close(hasEnded: false);

        // Killed while it made room for a fourth one.
        using (FileStream file = File.OpenWrite(path))
            file.SetLength(file.Length + 100);
        JournalFile last = JournalFile.TryOpen(path)!;
        Assert.That((last.WasLeft, last.IsAbout(Keys(queues: 3))), Is.EqualTo((true, true)));
        last.Begin(Keys(queues: 16, pages: 16));
        Assert.That(last.IsAbout(Keys(queues: 16, pages: 16)), Is.True, "the longest name has room");
        Assert.That(last.JournalOf(15).Settle(0, RingJournal.Slots), Is.Empty);
        last.Close(hasEnded: true);
        Assert.That(folder.OpenFiles(), Is.Empty);
    }

    // Of the longest numbers that there are.
    private static FrontendKeys Keys(int queues, int pages = 1)
    {
        using var xen = new SimulatedXen();
        var paths = new DevicePaths(0, "blkif", 5, VirtualDevice.Parse("xvda"));
        xen.Store.Write(paths.InFrontend("protocol"), "x86_64-abi");
        xen.Store.Write(paths.InFrontend("multi-queue-num-queues"), $"{queues}");
        xen.Store.Write(paths.InFrontend("ring-page-order"), $"{BitOperations.Log2((uint)pages)}");
        for (int queue = 0; queue < queues; queue++)
        {
            string folder = queues > 1 ? $"queue-{queue}/" : "";
            xen.Store.Write(paths.InFrontend($"{folder}event-channel"), $"{uint.MaxValue - queue}");
            for (int page = 0; page < pages; page++)
                xen.Store.Write(paths.InFrontend($"{folder}ring-ref{page}"), $"{uint.MaxValue - page}");
        }

        return FrontendKeys.ReadConnected(xen.Store, paths);
    }

    private static FrontendKeys Keys(int port, int page, string protocol = "x86_64-abi")
    {
        using var xen = new SimulatedXen();
        var paths = new DevicePaths(0, "blkif", 5, VirtualDevice.Parse("xvda"));
        xen.Store.Write(paths.InFrontend("protocol"), protocol);
        xen.Store.Write(paths.InFrontend("event-channel"), $"{port}");
        xen.Store.Write(paths.InFrontend("ring-ref"), $"{page}");
        return FrontendKeys.ReadConnected(xen.Store, paths);
    }
}
