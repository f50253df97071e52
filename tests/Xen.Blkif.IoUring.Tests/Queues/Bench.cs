using Microsoft.Extensions.Logging.Abstractions;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.IoUring.Kernel;
using Xen.Blkif.IoUring.Queues;
using Xen.Blkif.Memory;
using Xen.Blkif.Targets;
using Xen.Blkif.Targets.Files;
using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.IoUring.Tests.Queues;

/// <summary>A queue on a ring of the test's, with memory for requests and a record of what was answered. An answer too many fails the test.</summary>
internal sealed unsafe class Bench : IBlockCompletions, IDisposable
{
    public const int Depth = 8;
    public const int Room = 64 * 1024;

    private const int MaxVectors = 8;

    private readonly TemporaryFolder _folder = new();
    private readonly PositionalFile _file;
    private readonly NativeBuffer _memory = new(Depth * Room);
    private readonly NativeBuffer _vectors = new(Depth * MaxVectors * sizeof(IoVector));
    private readonly bool[] _underWay = new bool[Depth];

    public Bench(IKernelRing ring)
    {
        _file = new PositionalFile(_folder.AddSparse("disk.img", 1 << 20), readOnly: false);
        var io = new FileIo("disk.img", _file, NullLogger.Instance);
        Queue = new RingQueue(ring, io, descriptor: 3, inline: null, others: null, Depth, this, new Signals(Channel));
    }

    public RingQueue Queue { get; }

    public ScriptedDescriptors Channel { get; } = new();

    /// <summary>Answers, in their order.</summary>
    public List<(int Slot, BlockStatus Status)> Answers { get; } = [];

    public Span<byte> Buffer(int slot) => _memory.Slice(slot * Room, Room);

    /// <summary>Starts a request; a transfer with pieces of these lengths.</summary>
    public BlockStatus Start(BlockIoKind kind, int slot, long offset = 0, params int[] lengths)
    {
        if (lengths.Length == 0)
            lengths = [4096];
        IoVector* vectors = (IoVector*)_vectors.Start + (slot * MaxVectors);
        nint at = (nint)_memory.Start + (slot * Room);
        for (int i = 0; i < lengths.Length; i++)
        {
            vectors[i] = new IoVector(at, lengths[i]);
            at += lengths[i];
        }

        _underWay[slot] = true;
        BlockStatus status = Queue.Submit(kind switch
        {
            BlockIoKind.Flush => BlockIo.Flush(slot),
            BlockIoKind.Discard or BlockIoKind.SecureDiscard => BlockIo.Discard(slot, offset, lengths.Sum(), kind == BlockIoKind.SecureDiscard),
            _ => BlockIo.Transfer(kind, slot, offset, lengths.Sum(), (nint)vectors, lengths.Length),
        });
        if (status != BlockStatus.Pending)
            Complete(slot, status);
        return status;
    }

    /// <inheritdoc/>
    public void Complete(int slot, BlockStatus status)
    {
        if (slot is < 0 or >= Depth || !_underWay[slot])
            Assert.Fail($"Slot {slot} was answered with {status}, but no request was under way there.");
        _underWay[slot] = false;
        Answers.Add((slot, status));
    }

    public void Dispose()
    {
        Queue.Dispose();
        _file.Dispose();
        _memory.Dispose();
        _vectors.Dispose();
        _folder.Dispose();
    }
}

/// <summary>An event channel's descriptors that are numbers only, and what was done to them.</summary>
internal sealed class ScriptedDescriptors : IEventDescriptors
{
    public int EventDescriptor => 101;

    public int WakeDescriptor => 102;

    public int Unmasked { get; private set; }

    public int Events { get; private set; }

    public int Wakes { get; private set; }

    public void Unmask() => Unmasked++;

    public void TakeEvent() => Events++;

    public void TakeWake() => Wakes++;
}
