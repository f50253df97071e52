using Xen.Blkif.Engine;
using Xen.Blkif.Fuzz;

namespace Xen.Blkif.Tests.Engine.Restart;

/// <summary>A journal at one of whose stores the engine's process is killed: before it or after it.</summary>
/// <param name="address">Its memory, which outlives it.</param>
/// <param name="steps">Steps that are still done, two for each store.</param>
internal sealed class MortalJournal(nint address, int steps) : RingJournal(address)
{
    private int _steps = steps;

    protected override void Store(int slot, ulong word)
    {
        Step();
        base.Store(slot, word);
        Step();
    }

    private void Step()
    {
        if (_steps-- == 0)
            throw new KilledException();
    }
}
