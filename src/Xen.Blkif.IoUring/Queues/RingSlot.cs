using Xen.Blkif.IoUring.Kernel;
using Xen.Blkif.Targets;
using Xen.Blkif.Targets.Files;

namespace Xen.Blkif.IoUring.Queues;

/// <summary>A request under way in a ring, and how far it is.</summary>
internal unsafe struct RingSlot
{
    /// <summary>The request.</summary>
    public BlockIo Io;

    /// <summary>Bytes transferred.</summary>
    public long Done;

    /// <summary>Counts what the kernel was asked for this slot, so that no result is taken for that of another.</summary>
    public uint Generation;

    /// <summary>How often the kernel said that it should be asked again, since it last did something.</summary>
    public int Retries;

    /// <summary>Whether the kernel has it.</summary>
    public bool UnderWay;

    /// <summary>How it went.</summary>
    public BlockStatus Status;

    /// <summary>Bytes to transfer yet; 0 for what transfers none.</summary>
    public readonly long Left => Io.Kind is BlockIoKind.Read or BlockIoKind.Write ? Io.Length - Done : 0;

    /// <summary>What the kernel is to do next.</summary>
    /// <remarks>
    /// The vectors belong to whoever submitted them and stay as they are: a piece of memory that was done in part is brought to its end by
    /// itself, and then the rest.
    /// </remarks>
    public readonly SubmissionEntry NextEntry(int descriptor) => Io.Kind switch
    {
        BlockIoKind.Read => NextTransfer(descriptor, Operation.Read, Operation.ReadMany),
        BlockIoKind.Write => NextTransfer(descriptor, Operation.Write, Operation.WriteMany),
        BlockIoKind.Flush => new SubmissionEntry { Operation = Operation.Sync, Descriptor = descriptor },
        _ => new SubmissionEntry { Operation = Operation.Allocate, Descriptor = descriptor, Offset = Io.Offset, Address = Io.Length, Length = LibC.PunchHole },
    };

    private readonly SubmissionEntry NextTransfer(int descriptor, Operation one, Operation many)
    {
        ReadOnlySpan<IoVector> vectors = Io.Vectors;
        nint skipped = (nint)Done;
        for (; vectors.Length > 1 && skipped >= vectors[0].Length; vectors = vectors[1..])
            skipped -= vectors[0].Length;

        var entry = new SubmissionEntry { Descriptor = descriptor, Offset = Io.Offset + Done };
        if (vectors.Length > 1 && skipped == 0)
        {
            entry.Operation = many;
            entry.Length = (uint)Math.Min(vectors.Length, LibC.MostVectors);

            // SAFETY: the vectors are the request's, outside the collector's reach, and stay until it is completed.
            fixed (IoVector* first = vectors)
                entry.Address = (long)first;
            return entry;
        }

        entry.Operation = one;
        entry.Address = vectors[0].Address + skipped;
        entry.Length = (uint)(vectors[0].Length - skipped);
        return entry;
    }
}
