using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using Xen.Blkif.Protocol;
using Xen.Blkif.Rings;

namespace Xen.Blkif.Benchmarks;

/// <summary>A request's way through the ring alone: put, pushed, taken, answered, pushed, taken. Per request, both ends on one thread.</summary>
public unsafe class RingBenchmarks
{
    private const int Requests = 1024;
    private const int Order = 0;

    private void* _memory;
    private FrontRing<X64Request, X64Response> _front = null!;
    private BackRing<X64Request, X64Response> _back = null!;

    /// <summary>Requests pushed at once.</summary>
    [Params(1, 8, 32)]
    public int Batch { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        int length = Hypervisor.XenPage.Size << Order;
        _memory = NativeMemory.AlignedAlloc((nuint)length, Hypervisor.XenPage.Size);
        _front = new FrontRing<X64Request, X64Response>((nint)_memory, length);
        _front.Initialise();
        _back = new BackRing<X64Request, X64Response>((nint)_memory, length);
    }

    [GlobalCleanup]
    public void Cleanup() => NativeMemory.AlignedFree(_memory);

    [Benchmark(OperationsPerInvoke = Requests)]
    public ulong RoundTrip()
    {
        ulong ids = 0;
        X64Request request = default;
        X64Response response = default;
        for (int done = 0; done < Requests; done += Batch)
        {
            for (int i = 0; i < Batch; i++)
                _ = _front.TryPut(request);
            _ = _front.Push();

            while (_back.TryTake(out X64Request taken))
            {
                response.Id = taken.Id;
                _back.Put(response);
            }

            _ = _back.Push();
            while (_front.TryTake(out X64Response answer))
                ids += answer.Id;
        }

        return ids;
    }
}
