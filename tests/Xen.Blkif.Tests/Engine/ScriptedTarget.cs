using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Engine;

/// <summary>A target that writes down what it is asked and does what the test says: answers at once, or waits to be told.</summary>
internal sealed class ScriptedTarget(long length = 1 << 20) : IBlockTarget
{
    /// <summary>What was asked, in order: <c>Write 4096+512</c>, <c>plug</c>, <c>unplug</c>.</summary>
    public List<string> Calls { get; } = [];

    /// <summary>What to answer; pending by default.</summary>
    public Func<BlockIo, BlockStatus> Answer { get; set; } = _ => BlockStatus.Pending;

    public BlockTargetInfo Info { get; init; } = new(length) { Flush = Capability.Native, Discard = Capability.Native };

    public IBlockCompletions Completions { get; private set; } = null!;

    public Queue<int> Pending { get; } = new();

    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions)
    {
        Completions = completions;
        return new ScriptedQueue(this);
    }

    public void CompleteAll(BlockStatus status = BlockStatus.Okay)
    {
        while (Pending.TryDequeue(out int slot))
            Completions.Complete(slot, status);
    }

    public ValueTask DisposeAsync() => default;

    private sealed class ScriptedQueue(ScriptedTarget target) : IBlockQueue
    {
        public BlockStatus Submit(in BlockIo io)
        {
            target.Calls.Add(io.Kind == BlockIoKind.Flush ? "Flush" : $"{io.Kind} {io.Offset}+{io.Length}");
            BlockStatus answer = target.Answer(io);
            if (answer == BlockStatus.Pending)
                target.Pending.Enqueue(io.Slot);
            return answer;
        }

        public void Plug() => target.Calls.Add("plug");

        public void Unplug() => target.Calls.Add("unplug");

        public void Dispose() => target.Calls.Add("dispose");
    }
}
