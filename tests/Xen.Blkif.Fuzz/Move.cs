namespace Xen.Blkif.Fuzz;

/// <summary>One thing that a hostile guest can do, or that can happen to it. To add one, add it to the list of its kind in <c>Moves/</c>.</summary>
/// <param name="Name">What it is called in the list of a failed episode, for good: kept cases name it.</param>
/// <param name="Weight">How often it is made, beside others.</param>
/// <param name="Make">Makes it. All chance in it comes from the random numbers that it is given, and from the ring that was chosen for it.</param>
/// <param name="IsBasic">Whether every episode has it. Of the others it has some.</param>
internal sealed record Move(string Name, int Weight, Action<HostileGuest, Random> Make, bool IsBasic = false);

/// <summary>A move with its chances settled: made again, it does the same, whatever was left out before it.</summary>
internal readonly record struct Play(Move Move, int Seed)
{
    public void Make(HostileGuest guest)
    {
        guest.Choose(Seed);
        Move.Make(guest, new Random(Seed));
    }

    public override string ToString() => $"{Move.Name} {Seed}";
}
