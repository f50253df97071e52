using System.Globalization;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Fuzz;

/// <summary>How an episode went.</summary>
/// <param name="Findings">What was found wrong; nothing, where all is well.</param>
/// <param name="Answers">Responses to the hostile guest that were held against its requests.</param>
internal sealed record Outcome(string[] Findings, long Answers);

/// <summary>Plays an episode in a Xen of its own, beside a neighbour, and looks at what is left at the end.</summary>
internal static class EpisodeRun
{
    private const int FirstGuest = 1000;
    private const int Guests = 9000;
    private const int LongestTurns = 300_000;

    private static int _runs;

    /// <summary>Plays.</summary>
    public static Outcome Play(Episode episode)
    {
        // A number that no other guest in this process has: the threads that serve it are known by it.
        int id = FirstGuest + (int)((uint)Interlocked.Increment(ref _runs) % Guests);
        var findings = new Findings();
        var progress = new Progress();
        var thread = new Thread(() => Run(episode, id, findings, progress)) { IsBackground = true, Name = "hostile guest" };
        thread.Start();
        if (!Patience.Until(() => !thread.IsAlive, LongestTurns))
            findings.Add($"the episode does not end, it is at move {progress.Move}");
        return new Outcome(findings.All, progress.Answers);
    }

    private static void Run(Episode episode, int id, Findings findings, Progress progress)
    {
        try
        {
            RunAsync(episode, id, findings, progress).GetAwaiter().GetResult();
        }
#pragma warning disable CA1031 // whatever it is, it is a finding and not the end of the process
        catch (Exception e)
#pragma warning restore CA1031
        {
            findings.Add($"at move {progress.Move}: {e}");
        }
    }

    private static async Task RunAsync(Episode episode, int id, Findings findings, Progress progress)
    {
        using var xen = new SimulatedXen();
        xen.Limits.GrantEntries = 512;
        SimulatedGuest guest = xen.CreateGuest(id, 256);
        await using var target = new SuspiciousTarget(episode.Setting, findings, ThreadOf(id, "late"));
        var logs = new CountingLogs();
        using var toolstack = new Toolstack(xen, guest, target, episode.Setting, logs, findings);
        await using (var neighbour = new Neighbour(xen, id + Guests, episode.Seed, findings))
        {
            await neighbour.StartAsync();
            toolstack.Attach();
            var hostile = new HostileGuest(xen, guest, episode.Setting, toolstack, findings);
            foreach (Play play in episode.Plays)
            {
                if (findings.Any || hostile.IsDead)
                    break;
                progress.Move++;
                play.Make(hostile);
            }

            hostile.Settle();
            progress.Answers = hostile.Answers;
            toolstack.Detach();
            hostile.DropRings();
            if (!hostile.IsDead)
            {
                findings.Check(hostile.Estate.IsUntouched(), "pages were written that the guest had not granted for writing");
                findings.Check(hostile.Estate.TryRevokeAll(), "pages of the guest's data are mapped after the end");
            }
        }

        findings.Check(!logs.IsTooMuch, "more was logged than there may be");
        findings.Check(xen.Grants.MappedPages == 0, $"{xen.Grants.MappedPages} pages are mapped after the end");
        findings.Check(xen.Events.Bound == 0, $"{xen.Events.Bound} ports are bound after the end");
        findings.Check(xen.Store.Watches == 0, $"{xen.Store.Watches} watches are there after the end");
        findings.Check(xen.Store.List("/local/domain/0/backend/blkif").Count == 0, "nodes of a device are there after the end");
        findings.Check(Patience.Until(() => !HasThreads(id)), "threads of the device are there after the end");
    }

    // As the kernel has them: 15 characters.
    private static string ThreadOf(int id, string what) => $"blkif {id.ToString(CultureInfo.InvariantCulture)}/{what}";

    private static bool HasThreads(int id)
    {
        if (!Directory.Exists("/proc/self/task"))
            return false;
        string prefix = ThreadOf(id, "");
        return Directory.GetDirectories("/proc/self/task").Any(task => NameOf(task).StartsWith(prefix, StringComparison.Ordinal));
    }

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

    // Read from another thread only when this one has ended, or never will.
    private sealed class Progress
    {
        public int Move { get; set; }

        public long Answers { get; set; }
    }
}
