using System.Diagnostics;

namespace Xen.Blkif.Fuzz;

/// <summary>Plays one episode after the other, until one finds something or the time is over.</summary>
internal sealed class Fuzzer(int seed, TextWriter output)
{
    private const long MostMemory = 1L << 30;

    private static readonly TimeSpan BetweenLines = TimeSpan.FromSeconds(10);

    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private int _episodes;
    private long _moves;
    private long _answers;

    /// <summary>Plays until told to stop.</summary>
    /// <returns>Whether all was well.</returns>
    public bool Run(CancellationToken stop)
    {
        output.WriteLine($"seed {seed}");
        var seeds = new Random(seed);
        TimeSpan nextLine = BetweenLines;
        while (!stop.IsCancellationRequested)
        {
            Episode episode = Episode.Draw(seeds.Next());
            Journal.Note(episode);
            Outcome outcome = EpisodeRun.Play(episode);
            _episodes++;
            _moves += episode.Plays.Count;
            _answers += outcome.Answers;
            if (outcome.Findings.Length > 0)
            {
                Tell(episode, outcome.Findings);
                return false;
            }

            if (_clock.Elapsed < nextLine)
                continue;
            nextLine = _clock.Elapsed + BetweenLines;
            output.WriteLine(Describe());
            if (Environment.WorkingSet > MostMemory)
            {
                output.WriteLine($"FAILED: seed {seed}: the process has {Environment.WorkingSet >> 20} MiB, which an episode does not give back");
                return false;
            }
        }

        output.WriteLine($"{Describe()}: nothing found");
        return true;
    }

    /// <summary>Plays one episode once.</summary>
    /// <returns>Whether all was well.</returns>
    public bool Replay(Episode episode)
    {
        string[] findings = EpisodeRun.Play(episode).Findings;
        if (findings.Length > 0)
            Tell(episode, findings);
        else
            output.WriteLine($"episode {episode.Seed}, {episode.Plays.Count} moves: nothing found");
        return findings.Length == 0;
    }

    private void Tell(Episode episode, string[] findings)
    {
        output.WriteLine($"FAILED: episode {episode.Seed} of seed {seed}, {episode.Setting}");
        foreach (string finding in findings)
            output.WriteLine($"# {finding}");
        output.WriteLine("# What it takes, to be kept in a file and played again with --replay FILE:");
        output.WriteLine(Shrinking.Shrink(episode, shorter => EpisodeRun.Play(shorter).Findings.Length > 0));
    }

    private string Describe() => FormattableString.Invariant(
        $"{_clock.Elapsed.TotalSeconds,5:0} s: {_episodes} episodes, {_moves} moves, {_moves / _clock.Elapsed.TotalSeconds:0} moves/s, {_answers} answers checked, {Environment.WorkingSet >> 20} MiB");
}
