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
    [Property("Advisory", "XSA-350")]
    public async Task A_thousand_connections_of_one_disk_leave_nothing_behind([Values(1, 3)] int queues)
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
                await using (BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { Depth = 2, Queues = queues }))
                    Stage.DoesIo(frontend, 4096);
                Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound, stage.Xen.Store.Watches), Is.EqualTo((0, 0, 2)));
                Assert.That(stage.Guest.GrantedPages, Is.Zero);
            }
        }

        stage.AssertNothingLeft();
    }

    [Test]
    public async Task A_thousand_refusals_of_the_last_queue_leave_nothing_behind([Values(1, 3)] int queues)
    {
        await using var stage = new Stage();
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            FrontendQueue[] offered = stage.OfferRings(queues);
            stage.WriteFe(queues > 1 ? $"queue-{queues - 1}/event-channel" : "event-channel", "4000");
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
            foreach (FrontendQueue queue in offered)
                queue.Dispose();
        }

        stage.AssertNothingLeft();
    }

    private static async Task Settles(Held before)
    {
        // What is new is looked for by name, so that a failure says what it is.
        string[] more = [];
        await Eventually.IsTrue(() => (more = Held.Now().Beyond(before)).Length == 0, () => $"nothing more is held than before, there is: {string.Join(", ", more)}");
    }

    /// <summary>What the process holds: threads that are ours by their name, and open files.</summary>
    private sealed record Held(string[] Threads, string[] Files)
    {
        public static Held Now()
        {
            if (!Directory.Exists("/proc/self/task"))
                Requirement.IsMissing("there is no /proc");
            return new Held(
                Directory.GetDirectories("/proc/self/task").Select(NameOf).Where(name => name.StartsWith("blkif", StringComparison.Ordinal)).ToArray(),
                Directory.GetFiles("/proc/self/fd").Select(file => $"{Path.GetFileName(file)}: {new FileInfo(file).LinkTarget}").Where(IsData).ToArray());
        }

        public string[] Beyond(Held before) =>
            Threads.Length > before.Threads.Length || Files.Length > before.Files.Length ? [.. Threads, .. Files.Except(before.Files)] : [];

        // The runtime loads assemblies when it needs them, and keeps them open.
        private static bool IsData(string file) => !file.EndsWith(".dll", StringComparison.Ordinal);

        // A thread may end while it is looked at.
        private static string NameOf(string task)
        {
            try
            {
                return File.ReadAllText(Path.Combine(task, "comm"));
            }
            catch (IOException)
            {
                return "";
            }
        }
    }
}
