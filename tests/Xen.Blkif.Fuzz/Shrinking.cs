using System.Diagnostics;

namespace Xen.Blkif.Fuzz;

/// <summary>Leaves out of a failed episode what it does not take to fail.</summary>
internal static class Shrinking
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Plays parts of an episode, again and again.</summary>
    /// <returns>The shortest that still failed; the episode itself where it does not fail again, or nothing can go.</returns>
    public static Episode Shrink(Episode failed, Func<Episode, bool> fails)
    {
        long start = Stopwatch.GetTimestamp();
        for (int piece = failed.Plays.Count / 2; piece > 0; piece /= 2)
        {
            // From the end: the moves after the one that did it go first.
            for (int at = failed.Plays.Count - piece; at >= 0 && Stopwatch.GetElapsedTime(start) < Patience; at -= piece)
            {
                var shorter = new Episode(failed.Seed, [.. failed.Plays.Take(at), .. failed.Plays.Skip(at + piece)]);
                if (fails(shorter))
                {
                    failed = shorter;
                    at = Math.Min(at, failed.Plays.Count);
                }
            }
        }

        return failed;
    }
}
