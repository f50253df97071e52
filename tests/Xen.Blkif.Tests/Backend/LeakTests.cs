using Xen.Blkif.Backend;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Backend;

/// <summary>What is counted here belongs to the whole process, so nothing else runs meanwhile.</summary>
[TestFixture]
[NonParallelizable]
internal sealed class LeakTests
{
    private const int Times = 1_000;

    [Test]
    public async Task A_thousand_attached_disks_leave_nothing_behind()
    {
        await using var stage = new Stage();
        await AttachAndServe();
        Held before = Held.Now();
        for (int i = 0; i < Times; i++)
            await AttachAndServe();
        await Settles(before);

        async Task AttachAndServe()
        {
            await using (BlockBackend backend = await stage.AttachAsync())
            await using (BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { Depth = 2 }))
                Stage.DoesIo(frontend, 4096);
            stage.AssertNothingLeft();
            Assert.That(stage.Guest.GrantedPages, Is.Zero);
        }
    }

    [Test]
    public async Task A_thousand_connections_of_one_disk_leave_nothing_behind()
    {
        await using var stage = new Stage();
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            await Serve();
            Held before = Held.Now();
            for (int i = 0; i < Times; i++)
                await Serve();
            await Settles(before);

            async Task Serve()
            {
                await using (BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { Depth = 2 }))
                    Stage.DoesIo(frontend, 4096);
                Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound, stage.Xen.Store.Watches), Is.EqualTo((0, 0, 2)));
                Assert.That(stage.Guest.GrantedPages, Is.Zero);
            }
        }

        stage.AssertNothingLeft();
    }

    [Test]
    public async Task A_thousand_refusals_leave_nothing_behind()
    {
        await using var stage = new Stage();
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            using FrontendQueue queue = stage.OfferRing();
            stage.WriteFe("event-channel", "4000");
            Held before = Held.Now();
            for (int i = 0; i < Times; i++)
            {
                stage.WriteFe("state", "3");
                await stage.BackendIs(XenbusState.Closing);
                stage.WriteFe("state", "6");
                await stage.BackendIs(XenbusState.Closed);
                stage.WriteFe("state", "1");
                await stage.BackendIs(XenbusState.InitWait);
            }

            Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((0, 0)));
            await Settles(before);
        }

        stage.AssertNothingLeft();
    }

    private static async Task Settles(Held before)
    {
        Held now = before;
        await Eventually.IsTrue(() => (now = Held.Now()).Threads <= before.Threads && now.Files <= before.Files, $"back to {before}, from {now}");
    }

    /// <summary>What the process holds: threads that are ours by their name, and open files.</summary>
    private sealed record Held(int Threads, int Files)
    {
        public static Held Now()
        {
            if (!Directory.Exists("/proc/self/task"))
                Requirement.IsMissing("there is no /proc");
            return new Held(Directory.GetDirectories("/proc/self/task").Count(IsOurs), Directory.GetFiles("/proc/self/fd").Length);
        }

        // A thread may end while it is looked at.
        private static bool IsOurs(string task)
        {
            try
            {
                return File.ReadAllText(Path.Combine(task, "comm")).StartsWith("blkif", StringComparison.Ordinal);
            }
            catch (IOException)
            {
                return false;
            }
        }
    }
}
