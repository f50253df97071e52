using System.Globalization;

namespace Xen.Blkif.Fuzz;

/// <summary>A setting and a sequence of moves: all that is needed to do the same once more.</summary>
internal sealed class Episode
{
    private const int MostPlays = 2_000;

    public Episode(int seed, IReadOnlyList<Play> plays)
    {
        Seed = seed;
        Plays = plays;
        Setting = Setting.Draw(new Random(seed));
    }

    /// <summary>Where the setting comes from, and the moves of an episode that was drawn.</summary>
    public int Seed { get; }

    public Setting Setting { get; }

    public IReadOnlyList<Play> Plays { get; }

    /// <summary>Makes the episode of a seed.</summary>
    public static Episode Draw(int seed)
    {
        var random = new Random(~seed);

        // Half of the kinds, and half of what is in them: a guest that did everything at once would never get far in anything.
        var known = new List<Move>();
        foreach (IReadOnlyList<Move> kind in AllMoves.Kinds)
        {
            bool has = random.Next(2) == 0;
            known.AddRange(kind.Where(move => move.IsBasic || (random.Next(2) == 0 && has)));
        }

        int weight = known.Sum(move => move.Weight);
        var plays = new List<Play> { new(AllMoves.Named("Connect"), random.Next()) };
        for (int count = random.Next(10, MostPlays); count > 0; count--)
        {
            int at = random.Next(weight);
            plays.Add(new Play(known.First(move => (at -= move.Weight) < 0), random.Next()));
        }

        return new Episode(seed, plays);
    }

    /// <summary>Reads what <see cref="ToString"/> writes; lines that start with # say something to people.</summary>
    /// <exception cref="FormatException">It is something else.</exception>
    public static Episode Parse(string text)
    {
        string[][] lines = [.. text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Where(line => line[0] != '#').Select(line => line.Split(' '))];
        if (lines.Length == 0 || lines[0] is not ["episode", _] || lines.Any(line => line.Length != 2))
            throw new FormatException("A kept episode is a line 'episode SEED' and then lines 'MOVE SEED'.");
        return new Episode(Number(lines[0][1]), [.. lines.Skip(1).Select(line => new Play(AllMoves.Named(line[0]), Number(line[1])))]);
    }

    public override string ToString() => $"episode {Seed}\n{string.Concat(Plays.Select(play => $"{play}\n"))}";

    private static int Number(string text) => int.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);
}
