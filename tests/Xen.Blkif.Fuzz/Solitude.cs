using Xen.Blkif.Targets;

namespace Xen.Blkif.Fuzz;

/// <summary>Looks whether writes with a barrier are alone on the disk, over all queues. They are known by their data. Any thread.</summary>
internal sealed class Solitude(Findings findings)
{
    public const byte Mark = 0xBA;
    private const int Marks = 64;

    private int _underWay;
    private int _barriers;

    /// <summary>Whether the guest marks its barriers and nothing else; not once it has written over requests of its own.</summary>
    public bool IsOn
    {
        get => Volatile.Read(ref field);
        set => Volatile.Write(ref field, value);
    }

    public static bool IsMarked(in BlockIo io) =>
        io.Kind == BlockIoKind.Write && io.VectorCount > 0 && IsMark(io.Vectors[0].Span);

    /// <summary>Whether data begins as that of barriers does.</summary>
    public static bool IsMark(ReadOnlySpan<byte> data) => !data[..Marks].ContainsAnyExcept(Mark);

    /// <summary>Notes a request that the disk begins.</summary>
    /// <returns>Whether it is a barrier, for <see cref="End"/>: its data may change meanwhile.</returns>
    public bool Begin(in BlockIo io)
    {
        // In this order, so that one of two that begin at once may miss the other, and none sees one that is over.
        bool isBarrier = IsMarked(io);
        bool isAlone = Interlocked.Increment(ref _underWay) == 1;
        if (isBarrier)
        {
            Interlocked.Increment(ref _barriers);
            findings.Check(isAlone || !IsOn, "a barrier was begun beside other requests");
        }
        else
        {
            findings.Check(Volatile.Read(ref _barriers) == 0 || !IsOn, $"a {io.Kind} was begun beside a barrier");
        }

        return isBarrier;
    }

    public void End(bool isBarrier)
    {
        if (isBarrier)
            Interlocked.Decrement(ref _barriers);
        Interlocked.Decrement(ref _underWay);
    }
}
