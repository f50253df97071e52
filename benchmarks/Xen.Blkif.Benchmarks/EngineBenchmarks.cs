using BenchmarkDotNet.Attributes;
using Xen.Blkif.Engine;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Benchmarks;

/// <summary>A request's whole way: frontend, ring, parser, engine, guest memory, target and back. Per request, everything on one thread.</summary>
public class EngineBenchmarks
{
    private IBlockTarget _target = null!;
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

    /// <summary>How the data gets to the target and back.</summary>
    [Params(GuestMemoryAccess.Copy, GuestMemoryAccess.Persistent)]
    public GuestMemoryAccess GuestMemory { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _target = new MemoryTarget(1 << 20);
        _pair = new QueuePair(
            _target,
            new FrontendOptions { Protocol = Protocol, MaxIndirectSegments = Segments },
            configure: settings => settings with { GuestMemory = GuestMemory });
    }

    [GlobalCleanup]
    public void Cleanup() => _pair.Dispose();

    [Benchmark(OperationsPerInvoke = RequestLoop.Requests)]
    public long Read() => RequestLoop.Run(_pair, BlkifOperation.Read, Batch, Segments);

    [Benchmark(OperationsPerInvoke = RequestLoop.Requests)]
    public long Write() => RequestLoop.Run(_pair, BlkifOperation.Write, Batch, Segments);
}
