namespace Xen.Blkif.Fuzz;

/// <summary>Waits for what other threads bring about, with an end.</summary>
internal static class Patience
{
    private const int EagerTurns = 100;
    private const int Turns = 20_000;

    /// <summary>Waits until something is so, about 20 seconds at most.</summary>
    /// <returns>Whether it came to be so.</returns>
    // Turns are counted and no clock is asked: a process that was stopped for a while is not late.
    public static bool Until(Func<bool> done, int turns = Turns)
    {
        for (int turn = 0; turn < EagerTurns + turns; turn++)
        {
            if (done())
                return true;
            if (turn < EagerTurns)
                Thread.Yield();
            else
                Thread.Sleep(1);
        }

        return done();
    }
}
