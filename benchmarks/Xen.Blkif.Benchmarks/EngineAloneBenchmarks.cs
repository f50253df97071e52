using BenchmarkDotNet.Attributes;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Benchmarks;

/// <summary>Ring, parser and engine without what they serve: no byte is copied, no storage is asked. Per request, both ends on one thread.</summary>
public class EngineAloneBenchmarks
{
    private QueuePair _pair = null!;

    /// <summary>The layout that the frontend speaks.</summary>
    [Params(BlkifProtocol.X64, BlkifProtocol.X86)]
    public BlkifProtocol Protocol { get; set; }

    /// <summary>Pages in each request.</summary>
    [Params(1, 11, 32)]
    public int Segments { get; set; }

    /// <summary>Requests pushed at once.</summary>
    [Params(1, 8, 32)]
    public int Batch { get; set; }

    [GlobalSetup]
    public void Setup() =>
        _pair = new QueuePair(new NoTarget(), new FrontendOptions { Protocol = Protocol, MaxIndirectSegments = Segments }, grants: real => new NoCopies(real));

    [GlobalCleanup]
    public void Cleanup() => _pair.Dispose();

    [Benchmark(OperationsPerInvoke = RequestLoop.Requests)]
    public long Read() => RequestLoop.Run(_pair, BlkifOperation.Read, Batch, Segments);

    private sealed class NoCopies(IGrantTable real) : IGrantTable
    {
        public IGrantMapping Map(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable) => real.Map(domain, references, writable);

        public IGrantMapping MapRing(DomainId domain, ReadOnlySpan<GrantReference> references, IEventChannel channel) => real.MapRing(domain, references, channel);

        public nint TryMap(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable) => real.TryMap(domain, references, writable);

        public bool TryUnmap(nint address, int pages) => real.TryUnmap(address, pages);

        public bool Copy(Span<GrantCopySegment> segments) => true;
    }

    private sealed class NoTarget : IBlockTarget
    {
        public BlockTargetInfo Info { get; } = new(1 << 20);

        public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) => new Queue();

        public ValueTask DisposeAsync() => default;

        private sealed class Queue : InlineQueue
        {
            public override BlockStatus Submit(in BlockIo io) => BlockStatus.Okay;
        }
    }
}
