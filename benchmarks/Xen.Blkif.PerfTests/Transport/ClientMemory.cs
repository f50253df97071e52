using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.PerfTests.Transport;

/// <summary>The memory of a client, mapped whole: what a grant table is on Xen. A grant reference is a page's number.</summary>
/// <remarks>Mapping costs nothing here, and granted pages can be mapped together only where they lie behind each other.</remarks>
internal sealed unsafe class ClientMemory : IGrantTable, IDisposable
{
    private readonly byte* _start;
    private readonly long _length;

    /// <exception cref="HypervisorException">The memory cannot be mapped.</exception>
    public ClientMemory(SafeFileHandle file, long length)
    {
        nint start = length > 0 && length <= RandomAccess.GetLength(file) ? LibC.Map(0, (nint)length, LibC.ProtReadWrite, LibC.MapShared, file, 0) : -1;
        if (start == -1)
            throw new HypervisorException($"The client's memory of {length} bytes cannot be mapped: error {Marshal.GetLastPInvokeError()}.");
        _start = (byte*)start;
        _length = length;
    }

    public bool Copy(Span<GrantCopySegment> segments)
    {
        bool all = true;
        foreach (ref GrantCopySegment piece in segments)
        {
            long at = ((long)piece.Reference.Value * XenPage.Size) + piece.Offset;
            bool isInside = piece.Offset + piece.Length <= XenPage.Size && at + piece.Length <= _length;
            all &= isInside;
            if (isInside && piece.ToGuest)
                Buffer.MemoryCopy((void*)piece.LocalAddress, _start + at, piece.Length, piece.Length);
            else if (isInside)
                Buffer.MemoryCopy(_start + at, (void*)piece.LocalAddress, piece.Length, piece.Length);
            piece = piece.With(isInside ? GrantStatus.Okay : GrantStatus.BadGrantReference);
        }

        return all;
    }

    public nint TryMap(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable)
    {
        for (int i = 0; i < references.Length; i++)
        {
            if (references[i].Value != references[0].Value + (uint)i || ((long)references[i].Value + 1) * XenPage.Size > _length)
                return 0;
        }

        return (nint)(_start + ((long)references[0].Value * XenPage.Size));
    }

    public bool TryUnmap(nint address, int pages) => true;

    public IGrantMapping Map(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable) =>
        TryMap(domain, references, writable) is var address and not 0
            ? new Mapping(address, references.Length)
            : throw new HypervisorException($"Page {references[0]} and what follows cannot be mapped.");

    public IGrantMapping MapRing(DomainId domain, ReadOnlySpan<GrantReference> references, IEventChannel channel) => Map(domain, references, writable: true);

    public void Dispose() => _ = LibC.Unmap((nint)_start, (nint)_length);

    private sealed class Mapping(nint address, int pages) : IGrantMapping
    {
        public nint Address => address;

        public int Length => pages * XenPage.Size;

        public void Dispose()
        {
            // The memory stays mapped until the client is gone.
        }
    }
}
