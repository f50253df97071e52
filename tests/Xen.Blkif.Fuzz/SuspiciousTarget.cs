using System.Collections.Concurrent;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Fuzz;

/// <summary>A disk in memory that believes nothing: it holds each request against what a target may rely on, then answers as its mood is.</summary>
internal sealed class SuspiciousTarget(Setting setting, Findings findings, string name) : IBlockTarget
{
    public const long Capacity = 1 << 20;
    private const int LongestDiscard = 64 * 1024;

    private readonly MemoryTarget _disk = new(Capacity);
    private readonly ConcurrentDictionary<Queue, bool> _living = new();
    private readonly Solitude _solitude = new(findings);
    private long _length = Capacity;

    public long Length
    {
        get => Volatile.Read(ref _length);
        set => Volatile.Write(ref _length, value);
    }

    public BlockTargetInfo Info => new(Length)
    {
        LogicalSectorSize = setting.SectorSize,
        PhysicalSectorSize = 4096,
        DiscardGranularity = 4096,
        ReadOnly = setting.IsReadOnly,
        Flush = Capability.Native,
        Discard = setting.IsReadOnly ? Capability.None : Capability.Native,
        MaxDiscardLength = LongestDiscard,
        ErasesSecurely = !setting.IsReadOnly,
    };

    /// <inheritdoc cref="Solitude.IsOn"/>
    public bool ExpectsSolitude
    {
        set => _solitude.IsOn = value;
    }

    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions)
    {
        var queue = new Queue(this, depth, completions);
        _living[queue] = true;
        return queue;
    }

    /// <summary>The process that uses it is killed: what that asks for from here on is not done.</summary>
    public void Abandon()
    {
        foreach (Queue queue in _living.Keys)
            queue.Abandon();
    }

    /// <summary>The process that uses it is killed: what is under way is never done. Returns when nothing of that process's memory is used any more.</summary>
    public void Die()
    {
        foreach (Queue queue in _living.Keys)
            queue.Die();
    }

    public ValueTask DisposeAsync() => _disk.DisposeAsync();

    private void Check(in BlockIo io, bool[] busy)
    {
        if ((uint)io.Slot >= (uint)busy.Length || busy[io.Slot])
            findings.Add($"the target was given slot {io.Slot} of {busy.Length}, which is not free");
        if (io.Kind == BlockIoKind.Flush)
        {
            findings.Check(io.Length == 0 && io.VectorCount == 0, "the target was given a flush with data");
            return;
        }

        findings.Check(io.Kind == BlockIoKind.Read || !setting.IsReadOnly, $"a read-only target was given a {io.Kind}");
        findings.Check(io.Offset >= 0 && io.Length > 0 && io.Offset <= Capacity - io.Length, $"the target was given a {io.Kind} outside of it");
        findings.Check((io.Offset | io.Length) % setting.SectorSize == 0, $"the target was given a {io.Kind} that is not aligned");
        long total = 0;
        foreach (IoVector vector in io.Vectors)
        {
            findings.Check(vector.Address != 0 && vector.Length > 0 && vector.Length % 512 == 0, "the target was given a vector that is no whole number of sectors");
            total += vector.Length;
        }

        findings.Check(
            io.Kind is BlockIoKind.Discard or BlockIoKind.SecureDiscard ? io.VectorCount == 0 && io.Length <= LongestDiscard : total == io.Length, $"the target was given a {io.Kind} whose vectors do not add up");
    }

    private BlockStatus Do(in BlockIo io)
    {
        long offset = io.Offset;
        foreach (IoVector vector in io.Vectors)
        {
            if (io.Kind == BlockIoKind.Read)
                _disk.CopyTo(offset, vector.Span);
            else
                Write(offset, vector.Span);
            offset += vector.Length;
        }

        return BlockStatus.Okay;
    }

    // What marks barriers never gets to the disk, and so into no other page and no other write; also where a guest has made it part of one.
    private void Write(long offset, ReadOnlySpan<byte> bytes)
    {
        for (int at = 0; at < bytes.Length; at += BlkifLimits.SectorSize)
        {
            ReadOnlySpan<byte> sector = bytes.Slice(at, BlkifLimits.SectorSize);
            if (!Solitude.IsMark(sector))
                _disk.CopyFrom(offset + at, sector);
        }
    }

    private sealed class Queue : IBlockQueue
    {
        private readonly SuspiciousTarget _target;
        private readonly IBlockCompletions _completions;
        private readonly bool[] _busy;
        private readonly Random _random = new(1);
        private readonly BlockingCollection<(BlockIo Io, bool IsBarrier)> _late = [];
        private readonly Thread? _thread;
        private volatile bool _dead;

        public Queue(SuspiciousTarget target, int depth, IBlockCompletions completions)
        {
            _target = target;
            _completions = completions;
            _busy = new bool[depth];
            if (target.Mood == TargetMood.Prompt)
                return;
            _thread = new Thread(AnswerLate) { IsBackground = true, Name = target.ThreadName };
            _thread.Start();
        }

        public BlockStatus Submit(in BlockIo io)
        {
            if (_dead)
                return BlockStatus.Pending;
            _target.Check(io, _busy);
            if (_target.Findings.Any)
                return BlockStatus.Error;
            bool isBarrier = _target._solitude.Begin(io);
            BlockStatus status = BlockStatus.Error;
            try
            {
                status = SubmitChecked(io, isBarrier);
            }
            finally
            {
                if (status != BlockStatus.Pending)
                    _target._solitude.End(isBarrier);
            }

            return status;
        }

        private BlockStatus SubmitChecked(in BlockIo io, bool isBarrier)
        {
            switch (_target.Mood)
            {
                case TargetMood.Prompt:
                    return _target.Do(io);
                case TargetMood.Throwing when _random.Next(8) == 0:
                    throw new InvalidOperationException("The storage throws.");
                case TargetMood.Failing when _random.Next(4) == 0:
                    return _random.Next(2) == 0 ? BlockStatus.Error : BlockStatus.NotSupported;
                case not TargetMood.Late when _random.Next(2) == 0:
                    return _target.Do(io);
            }

            _busy[io.Slot] = true;
            try
            {
                _late.Add((io, isBarrier));
            }
            catch (InvalidOperationException) when (_dead)
            {
                _target._solitude.End(isBarrier);
            }

            return BlockStatus.Pending;
        }

        public void Plug()
        {
            // Nothing is gained by holding anything back.
        }

        public void Unplug()
        {
            // As above.
        }

        public void Dispose()
        {
            _target._living.TryRemove(this, out _);
            _target.Findings.Check(_dead || !Array.Exists(_busy, busy => busy), "the target's queue was closed with requests under way");
            Finish();
            _late.Dispose();
        }

        public void Abandon() => _dead = true;

        public void Die()
        {
            _dead = true;
            try
            {
                Finish();
            }
            catch (ObjectDisposedException)
            {
                // It was closed just before.
            }
        }

        private void Finish()
        {
            _late.CompleteAdding();
            _thread?.Join();
        }

        private void AnswerLate()
        {
            // Held back up to three at a time, and answered last in, first out.
            var held = new Stack<(BlockIo Io, bool IsBarrier)>();
            foreach ((BlockIo, bool) io in _late.GetConsumingEnumerable())
            {
                held.Push(io);
                if (held.Count < 3 && _late.Count > 0)
                    continue;
                while (held.TryPop(out (BlockIo Io, bool IsBarrier) last))
                {
                    BlockStatus status = _dead || (_target.Mood == TargetMood.Failing && last.Io.Slot % 3 == 0) ? BlockStatus.Error : _target.Do(last.Io);
                    _target._solitude.End(last.IsBarrier);
                    if (_dead)
                        continue;
                    _busy[last.Io.Slot] = false;
                    _completions.Complete(last.Io.Slot, status);
                }
            }
        }
    }

    private TargetMood Mood => setting.Mood;

    private Findings Findings => findings;

    private string ThreadName => name;
}
