using System.Runtime.InteropServices;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

/// <summary>
/// Drives one queue of a target as an engine does: memory for the vectors of each slot, and a record of every answer. A request that is
/// answered twice, or not within ten seconds, fails the test.
/// </summary>
/// <remarks>Used by one thread; the target answers on any. It allocates nothing for a request.</remarks>
internal sealed unsafe class TargetDriver : IBlockCompletions, IDisposable
{
    /// <summary>Bytes that a slot has room for.</summary>
    public const int Room = 128 * 1024;

    private const int MaxVectors = 16;
    private const int MillisecondsTimeout = 10_000;
    private const byte Guard = 0xA5;

    private readonly object _gate = new();
    private readonly byte* _memory;
    private readonly IoVector* _vectors;
    private readonly int[] _vectorCounts;
    private readonly State[] _states;
    private readonly BlockStatus[] _answers;
    private readonly Thread _owner = Thread.CurrentThread;
    private readonly HashSet<Thread> _threads = [];
    private readonly int _vectorAlignment;
    private string? _violation;
    private bool _closed;

    /// <summary>Opens a queue.</summary>
    /// <param name="target">The target.</param>
    /// <param name="depth">Slots.</param>
    /// <param name="vectorAlignment">What the addresses of laid out vectors are multiples of.</param>
    public TargetDriver(IBlockTarget target, int depth = 32, int vectorAlignment = 1)
    {
        _vectorAlignment = vectorAlignment;
        Depth = depth;
        _memory = (byte*)NativeMemory.AlignedAlloc((nuint)depth * Room, 4096);
        _vectors = (IoVector*)NativeMemory.AllocZeroed((nuint)(depth * MaxVectors), (nuint)sizeof(IoVector));
        new Span<byte>(_memory, depth * Room).Clear();
        _vectorCounts = new int[depth];
        _states = new State[depth];
        _answers = new BlockStatus[depth];
        Queue = target.OpenQueue(depth, this);
    }

    private enum State : byte
    {
        Free,
        UnderWay,
        Answered,
    }

    public int Depth { get; }

    public IBlockQueue Queue { get; }

    /// <summary>Requests whose answer did not come with the return of <see cref="IBlockQueue.Submit"/>.</summary>
    public int AnsweredLater { get; private set; }

    /// <summary>The target's own threads that brought an answer.</summary>
    public IReadOnlyCollection<Thread> Threads => _threads;

    /// <summary>The memory of a slot.</summary>
    public Span<byte> Buffer(int slot) => new(_memory + ((long)slot * Room), Room);

    /// <summary>Starts a request with one vector, at the beginning of the slot's memory.</summary>
    public void Start(BlockIoKind kind, int slot, long offset, int length)
    {
        Vectors(slot)[0] = new IoVector((nint)(_memory + ((long)slot * Room)), length);
        _vectorCounts[slot] = 1;
        Submit(slot, kind switch
        {
            BlockIoKind.Flush => BlockIo.Flush(slot),
            BlockIoKind.Discard or BlockIoKind.SecureDiscard => BlockIo.Discard(slot, offset, length, secure: kind == BlockIoKind.SecureDiscard),
            _ => BlockIo.Transfer(kind, slot, offset, length, (nint)Vectors(slot), 1),
        });
    }

    /// <summary>Starts a discard of any length.</summary>
    public void StartDiscard(int slot, long offset, long length) => Submit(slot, BlockIo.Discard(slot, offset, length));

    /// <summary>Lays out vectors in a slot's memory, with bytes between them that nobody may touch.</summary>
    public void Lay(int slot, params int[] lengths)
    {
        const int Gap = 61;
        Buffer(slot).Fill(Guard);
        byte* at = Align(_memory + ((long)slot * Room) + Gap);
        for (int i = 0; i < lengths.Length; i++)
        {
            Vectors(slot)[i] = new IoVector((nint)at, lengths[i]);
            at = Align(at + lengths[i] + Gap);
        }

        _vectorCounts[slot] = lengths.Length;
    }

    /// <summary>Starts a transfer with the vectors that were laid out.</summary>
    public void StartLaid(BlockIoKind kind, int slot, long offset)
    {
        long length = 0;
        for (int i = 0; i < _vectorCounts[slot]; i++)
            length += Vectors(slot)[i].Length;
        Submit(slot, BlockIo.Transfer(kind, slot, offset, length, (nint)Vectors(slot), _vectorCounts[slot]));
    }

    /// <summary>Spreads bytes over the vectors of a slot.</summary>
    public void Scatter(int slot, ReadOnlySpan<byte> bytes)
    {
        for (int i = 0; i < _vectorCounts[slot]; i++)
        {
            Span<byte> vector = Vectors(slot)[i].Span;
            bytes[..vector.Length].CopyTo(vector);
            bytes = bytes[vector.Length..];
        }
    }

    /// <summary>Collects the bytes of a slot's vectors, and says whether what lies around them is untouched.</summary>
    public byte[] Gather(int slot, out bool untouched)
    {
        var bytes = new List<byte>();
        byte[] around = Buffer(slot).ToArray();
        for (int i = 0; i < _vectorCounts[slot]; i++)
        {
            IoVector vector = Vectors(slot)[i];
            bytes.AddRange(vector.Span.ToArray());
            around.AsSpan((int)(vector.Address - (nint)_memory - ((nint)slot * Room)), (int)vector.Length).Fill(Guard);
        }

        untouched = !around.AsSpan().ContainsAnyExcept(Guard);
        return [.. bytes];
    }

    /// <summary>Waits for the answer to the request in a slot.</summary>
    public BlockStatus Wait(int slot)
    {
        lock (_gate)
        {
            while (_states[slot] == State.UnderWay && _violation is null)
            {
                if (!Monitor.Wait(_gate, MillisecondsTimeout))
                    _violation = $"Slot {slot} got no answer within {MillisecondsTimeout} ms.";
            }

            ThrowIfViolated();
            _states[slot] = State.Free;
            return _answers[slot];
        }
    }

    /// <summary>Waits until a request of any slot is answered.</summary>
    /// <returns>The slot, whose answer <see cref="Wait"/> then gives at once.</returns>
    public int WaitForAny()
    {
        lock (_gate)
        {
            while (true)
            {
                ThrowIfViolated();
                int slot = Array.IndexOf(_states, State.Answered);
                if (slot >= 0)
                    return slot;
                if (!Monitor.Wait(_gate, MillisecondsTimeout))
                    _violation = $"No slot got an answer within {MillisecondsTimeout} ms.";
            }
        }
    }

    /// <summary>Does one request from start to end, in slot 0.</summary>
    public BlockStatus Do(BlockIoKind kind, long offset = 0, int length = 0)
    {
        Start(kind, 0, offset, length);
        return Wait(0);
    }

    /// <summary>Reads any range, in slot 0.</summary>
    public byte[] Read(long offset, int length)
    {
        byte[] bytes = new byte[length];
        for (int done = 0; done < length; done += Room)
        {
            int part = Math.Min(Room, length - done);
            Buffer(0).Fill(Guard);
            Assert.That(Do(BlockIoKind.Read, offset + done, part), Is.EqualTo(BlockStatus.Okay), $"read at {offset + done}");
            Buffer(0)[..part].CopyTo(bytes.AsSpan(done));
        }

        return bytes;
    }

    /// <summary>Writes any range, in slot 0.</summary>
    public void Write(long offset, ReadOnlySpan<byte> bytes)
    {
        for (int done = 0; done < bytes.Length; done += Room)
        {
            int part = Math.Min(Room, bytes.Length - done);
            bytes.Slice(done, part).CopyTo(Buffer(0));
            Assert.That(Do(BlockIoKind.Write, offset + done, part), Is.EqualTo(BlockStatus.Okay), $"write at {offset + done}");
        }
    }

    /// <inheritdoc/>
    public void Complete(int slot, BlockStatus status)
    {
        lock (_gate)
        {
            if (Thread.CurrentThread != _owner && !Thread.CurrentThread.IsThreadPoolThread)
                _threads.Add(Thread.CurrentThread);
            AnsweredLater++;
            Answer(slot, status);
        }
    }

    public void Dispose()
    {
        if (_closed)
            return;

        _closed = true;
        lock (_gate)
        {
            ThrowIfViolated();

            // A test that failed may leave requests under way. A queue is not to be closed then, nor its memory to be freed.
            if (_states.Contains(State.UnderWay))
                return;
        }

        Queue.Dispose();
        NativeMemory.AlignedFree(_memory);
        NativeMemory.Free(_vectors);
        lock (_gate)
            ThrowIfViolated();
    }

    private byte* Align(byte* address) => (byte*)(((nint)address + _vectorAlignment - 1) / _vectorAlignment * _vectorAlignment);

    // SAFETY: each slot has its own vectors, as many as MaxVectors, and its own room.
    private IoVector* Vectors(int slot) => _vectors + (slot * MaxVectors);

    private void Submit(int slot, in BlockIo io)
    {
        lock (_gate)
            _states[slot] = State.UnderWay;
        BlockStatus status = Queue.Submit(io);
        if (status != BlockStatus.Pending)
        {
            lock (_gate)
                Answer(slot, status);
        }
    }

    private void Answer(int slot, BlockStatus status)
    {
        if ((uint)slot >= (uint)Depth || _states[slot] != State.UnderWay)
            _violation ??= $"Slot {slot} was answered with {status}, but no request was under way there.";
        else if (status == BlockStatus.Pending)
            _violation ??= $"Slot {slot} was completed as pending.";
        else
            (_states[slot], _answers[slot]) = (State.Answered, status);
        Monitor.PulseAll(_gate);
    }

    private void ThrowIfViolated()
    {
        if (_violation is not null)
            throw new AssertionException(_violation);
    }
}
