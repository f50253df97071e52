using Xen.Blkif.Fuzz;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Hostile;

/// <summary>A few episodes of the fuzzer, which tests/Xen.Blkif.Fuzz plays without end, and all that it ever found.</summary>
internal sealed class EpisodeTests
{
    private const int EpisodesPerSeed = 10;

    private static IEnumerable<string> Cases() =>
        Directory.GetFiles(Path.Combine(Repository.Root, "tests", "Xen.Blkif.Fuzz", "Cases"), "*.txt").Select(file => Path.GetFileNameWithoutExtension(file)!);

    [Test]
    public void A_hostile_guest_harms_neither_the_process_nor_its_neighbour([Range(1, 4)] int seed)
    {
        var seeds = new Random(seed);
        for (int i = 0; i < EpisodesPerSeed; i++)
        {
            Episode episode = Episode.Draw(seeds.Next());
            Assert.That(EpisodeRun.Play(episode).Findings, Is.Empty, $"{episode}");
        }
    }

    [TestCaseSource(nameof(Cases))]
    public void What_was_found_once_is_not_found_again(string name) =>
        Assert.That(EpisodeRun.Play(Episode.Parse(File.ReadAllText(Path.Combine(Repository.Root, "tests", "Xen.Blkif.Fuzz", "Cases", $"{name}.txt")))).Findings, Is.Empty);

    [Test]
    public void An_episode_that_is_written_down_and_read_again_is_the_same()
    {
        Episode drawn = Episode.Draw(12345);
        var read = Episode.Parse($"# a remark\n{drawn}");
        Assert.That(read.Plays, Is.EqualTo(drawn.Plays));
        Assert.That((read.Seed, read.Setting), Is.EqualTo((drawn.Seed, drawn.Setting)));
        Assert.That(Episode.Draw(12345).Plays, Is.EqualTo(drawn.Plays));
    }

    [TestCase("")]
    [TestCase("Push 1")]
    [TestCase("episode x")]
    [TestCase("episode 1\nNoSuchMove 1")]
    [TestCase("episode 1\nPush")]
    public void What_is_no_episode_is_refused(string text) => Assert.That(() => Episode.Parse(text), Throws.TypeOf<FormatException>());

    [Test]
    public void No_two_moves_have_one_name() => Assert.That(AllMoves.List.Select(move => move.Name), Is.Unique);

    [Test]
    public void A_failed_episode_is_cut_down_to_what_it_takes()
    {
        Episode drawn = Episode.Draw(1);
        Play culprit = drawn.Plays[drawn.Plays.Count / 2];
        Episode shrunk = Shrinking.Shrink(drawn, episode => episode.Plays.Contains(culprit) && episode.Plays[0].Move.Name == "Connect");
        Assert.That(shrunk.Plays, Is.EqualTo(new[] { drawn.Plays[0], culprit }));
    }

    [Test]
    public void The_ledger_knows_each_wrong_answer()
    {
        Assert.That(FindingsOf((ledger, id) => ledger.Close(new(id, 0, 0))), Is.Empty);
        Assert.That(FindingsOf((ledger, id) => ledger.Close(new(id + 1, 0, 0))), Has.One.Contains("no request"));
        Assert.That(FindingsOf((ledger, id) => ledger.Close(new(id, (BlkifOperation)1, 0))), Has.One.Contains("was answered as 1"));
        Assert.That(FindingsOf((ledger, id) => ledger.Close(new(id, 0, (BlkifStatus)7))), Has.One.Contains("status 7"));
        Assert.That(FindingsOf((ledger, id) => ledger.Close(new(id, 0, BlkifStatus.Error))), Has.One.Contains("not in Success"));
        Assert.That(
            FindingsOf((ledger, id) =>
            {
                ledger.Close(new(id, 0, 0));
                ledger.Close(new(id, 0, 0));
            }),
            Has.One.Contains("no request"));
    }

    [Test]
    public void A_page_that_is_written_without_a_grant_is_noticed()
    {
        using var xen = new SimulatedXen();
        using SimulatedGuest guest = xen.CreateGuest(1, 256);
        var estate = new Estate(guest);
        Assert.That(estate.IsUntouched(), Is.True);
        unsafe
        {
            // Pages are handed out one after the other: the last that it took is nobody's.
            ((byte*)guest.AddressOf(guest.AllocatePages(1)))[-1]++;
        }

        Assert.That(estate.IsUntouched(), Is.False);
    }

    [Test]
    public unsafe void A_barrier_that_is_not_alone_is_noticed([Values] bool isFirst)
    {
        byte* marked = stackalloc byte[512];
        new Span<byte>(marked, 512).Fill(Solitude.Mark);
        var vector = new IoVector((nint)marked, 512);
        var barrier = BlockIo.Transfer(BlockIoKind.Write, 0, 0, 512, (nint)(&vector), 1);
        var flush = BlockIo.Flush(1);
        var findings = new Findings();
        var solitude = new Solitude(findings) { IsOn = true };

        solitude.End(solitude.Begin(flush));
        solitude.End(solitude.Begin(barrier));
        solitude.Begin(isFirst ? barrier : flush);
        Assert.That(findings.All, Is.Empty);
        solitude.Begin(isFirst ? flush : barrier);
        Assert.That(findings.All, Has.One.Contains("barrier"));
    }

    private static string[] FindingsOf(Action<Ledger, ulong> answer)
    {
        var findings = new Findings();
        var ledger = new Ledger(findings);
        answer(ledger, ledger.Add(0, Ending.Success));
        return [.. findings.All.Where(finding => !finding.Contains("not in Success", StringComparison.Ordinal) || findings.All.Length == 1)];
    }
}
