using System.Runtime.InteropServices;

namespace Xen.Blkif.Tests.Testing;

/// <summary>Local memory for a test, and spans over addresses.</summary>
internal sealed unsafe class NativePages(int count) : IDisposable
{
    private readonly void* _memory = NativeMemory.AlignedAlloc((nuint)count * 4096, 4096);

    public nint Address => (nint)_memory;

    public Span<byte> Bytes => new(_memory, count * 4096);

    // SAFETY: the test hands in an address that it has mapped, for as long as it uses the span.
    public static Span<byte> At(nint address, int length) => new((void*)address, length);

    public void Dispose() => NativeMemory.AlignedFree(_memory);
}
