using System.Collections.Concurrent;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

/// <summary>
/// A disk with sectors of 4096 bytes that does each request on one of its threads, in any order, and at random fails some: a failed write has
/// written some of its sectors. It remembers what no such disk may be asked for: parts of sectors, and two writes to one sector at once, of
/// which the order would be anybody's.
/// </summary>
internal sealed class WholeBlocks : IBlockTarget
{
    public const int Block = 4096;

    private readonly MemoryTarget _memory;
    private readonly BlockingCollection<Action> _work = [];
    private readonly Thread[] _threads;
    private readonly int[] _writers;
    private readonly int _failuresInAThousand;
    private readonly Random _random;
    private int _violations;

    public WholeBlocks(byte[] content, int seed = 1, int failuresInAThousand = 0, int threads = 3)
    {
        _memory = new MemoryTarget(content.Length, Block);
        _memory.CopyFrom(0, content);
        _writers = new int[content.Length / Block];
        _random = new Random(seed);
        _failuresInAThousand = failuresInAThousand;
        _threads = new Thread[threads];
        for (int i = 0; i < threads; i++)
        {
            _threads[i] = new Thread(Work) { IsBackground = true };
            _threads[i].Start();
        }
    }

    /// <summary>Requests that no target of the library may be given.</summary>
    public int Violations => Volatile.Read(ref _violations);

    public BlockTargetInfo Info => _memory.Info;

    public byte[] Content()
    {
        byte[] bytes = new byte[Info.Length];
        _memory.CopyTo(0, bytes);
        return bytes;
    }

    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) => new Queue(this, _memory.OpenQueue(depth, completions), completions);

    public async ValueTask DisposeAsync()
    {
        _work.CompleteAdding();
        foreach (Thread thread in _threads)
            thread.Join();
        _work.Dispose();
        await _memory.DisposeAsync();
    }

    private void Work()
    {
        foreach (Action action in _work.GetConsumingEnumerable())
            action();
    }

    private int Next(int below)
    {
        lock (_random)
            return _random.Next(below);
    }

    private bool Fails() => Next(1000) < _failuresInAThousand;

    private void Violate() => Interlocked.Increment(ref _violations);

    // What each queue is asked by two threads at once is a violation too.
    private sealed class Queue(WholeBlocks disk, IBlockQueue memory, IBlockCompletions completions) : IBlockQueue
    {
        private int _inside;

        public BlockStatus Submit(in BlockIo io)
        {
            if (Interlocked.Exchange(ref _inside, 1) != 0)
                disk.Violate();
            if (io.Offset % Block != 0 || io.Length % Block != 0)
                disk.Violate();

            BlockIo request = io;
            if (disk.Next(4) == 0)
            {
                BlockStatus status = Do(request);
                Volatile.Write(ref _inside, 0);
                return status;
            }

            disk._work.Add(() => completions.Complete(request.Slot, Do(request)));
            Volatile.Write(ref _inside, 0);
            return BlockStatus.Pending;
        }

        public void Plug()
        {
            // Nothing is held back.
        }

        public void Unplug()
        {
            // Nothing was held back.
        }

        public void Dispose() => memory.Dispose();

        private BlockStatus Do(in BlockIo io)
        {
            if (io.Kind == BlockIoKind.Flush)
                return BlockStatus.Okay;

            bool changes = io.Kind != BlockIoKind.Read;
            Mark(io, changes ? 1 : 0);
            if (disk.Next(8) == 0)
                Thread.Yield();
            bool fails = disk.Fails();
            if (!fails)
                _ = memory.Submit(io);
            else if (io.Kind == BlockIoKind.Write)
                WriteSome(io);
            Mark(io, changes ? -1 : 0);
            return fails ? BlockStatus.Error : BlockStatus.Okay;
        }

        private void Mark(in BlockIo io, int change)
        {
            for (long block = io.Offset / Block; change != 0 && block < (io.Offset + io.Length) / Block; block++)
            {
                if (Interlocked.Add(ref disk._writers[block], change) is not (0 or 1))
                    disk.Violate();
            }
        }

        private void WriteSome(in BlockIo io)
        {
            long offset = io.Offset;
            foreach (IoVector vector in io.Vectors)
            {
                for (int at = 0; at < vector.Length; at += 512)
                {
                    if (disk.Next(2) == 0)
                        disk._memory.CopyFrom(offset + at, vector.Span.Slice(at, 512));
                }

                offset += vector.Length;
            }
        }
    }
}
