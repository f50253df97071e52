using BenchmarkDotNet.Attributes;
using Xen.Blkif.PerfTests.Ring;

namespace Xen.Blkif.Benchmarks;

/// <summary>
/// The engine beside a backend in C, made of Xen's own headers, on the same requests: see <c>benchmarks/reference</c>. Per request, from one
/// doorbell to the next.
/// </summary>
public class ReferenceBenchmarks
{
    private const int Requests = 1024;

    private RingStand _csharp = null!;
    private RingStand _sleeping = null!;
    private RingStand _perRequest = null!;
    private RingStand _perPass = null!;

    /// <summary>The layout, the pages in each request, and the requests announced at once.</summary>
    [ParamsSource(nameof(Workloads))]
    public string Workload { get; set; } = "";

    public static IEnumerable<string> Workloads => RingWorkload.All.Select(workload => workload.Name);

    [GlobalSetup]
    public void Setup()
    {
        RingWorkload workload = RingWorkload.All.Single(workload => workload.Name == Workload);
        _csharp = new RingStand(workload, guest => new EngineBackend(guest, EngineWay.Looking));
        _sleeping = new RingStand(workload, guest => new EngineBackend(guest, EngineWay.Sleeping));
        _perRequest = new RingStand(workload, guest => new ReferenceBackend(guest, ReferenceWay.PerRequest));
        _perPass = new RingStand(workload, guest => new ReferenceBackend(guest, ReferenceWay.PerPass));
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _csharp.Dispose();
        _sleeping.Dispose();
        _perRequest.Dispose();
        _perPass.Dispose();
    }

    /// <summary>Clock, copy, push and notification check for each request, as QEMU.</summary>
    [Benchmark(Baseline = true, OperationsPerInvoke = Requests)]
    public void C() => _perRequest.Run(Requests);

    /// <summary>Each of them once for all requests of a pass, as the engine.</summary>
    [Benchmark(OperationsPerInvoke = Requests)]
    public void CPerPass() => _perPass.Run(Requests);

    /// <summary>The thread looks for the next requests, and they are there.</summary>
    [Benchmark(OperationsPerInvoke = Requests)]
    public void CSharp() => _csharp.Run(Requests);

    /// <summary>The thread asks for an event and goes to sleep, and back at once.</summary>
    [Benchmark(OperationsPerInvoke = Requests)]
    public void CSharpAsleep() => _sleeping.Run(Requests);
}
