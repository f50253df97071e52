using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Tests.Rings;

/// <summary>Page-aligned native memory of a ring, with the header's indices by name, for tests that play an ill-behaved peer.</summary>
internal sealed unsafe class RingMemory : IDisposable
{
    public const int RequestProducerOffset = 0;
    public const int RequestEventOffset = 4;
    public const int ResponseProducerOffset = 8;
    public const int ResponseEventOffset = 12;

    private readonly byte* _memory;

    public RingMemory(int pageOrder = 0)
    {
        Length = XenPage.Size << pageOrder;
        _memory = (byte*)NativeMemory.AlignedAlloc((nuint)Length, XenPage.Size);
        Bytes.Clear();
    }

    public nint Address => (nint)_memory;

    public int Length { get; }

    public Span<byte> Bytes => new(_memory, Length);

    public ref uint RequestProducer => ref Index(RequestProducerOffset);

    public ref uint RequestEvent => ref Index(RequestEventOffset);

    public ref uint ResponseProducer => ref Index(ResponseProducerOffset);

    public ref uint ResponseEvent => ref Index(ResponseEventOffset);

    public ref uint Index(int offset) => ref *(uint*)(_memory + offset);

    /// <summary>Makes the header that of an idle ring that has come as far as <paramref name="index"/>.</summary>
    public void StartAt(uint index)
    {
        Bytes.Clear();
        RequestProducer = ResponseProducer = index;
        RequestEvent = ResponseEvent = index + 1;
    }

    public void Dispose() => NativeMemory.AlignedFree(_memory);
}
