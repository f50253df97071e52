using Xen.Blkif.PerfTests.Reference;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.PerfTests.Ring;

/// <summary>How the backend in C answers; see <c>backend.c</c>.</summary>
internal enum ReferenceWay
{
    /// <summary>As QEMU: clock, copy, push and notification check for each request.</summary>
    PerRequest,

    /// <summary>As the engine in C#: each of them once for all requests of a pass.</summary>
    PerPass,
}

/// <summary>The backend in C.</summary>
internal sealed unsafe class ReferenceBackend : IRingBackend
{
    private readonly nint _backend;

    public ReferenceBackend(RingGuest guest, ReferenceWay way)
    {
        uint layout = guest.Protocol == BlkifProtocol.X86 ? 1u : 0;
        _backend = ReferenceLibrary.Open(
            (byte*)guest.Address,
            RingGuest.Pages,
            (uint)guest.RingLength,
            layout,
            (uint)way,
            RingGuest.Sectors,
            RingGuest.MaxIndirectSegments,
            guest.HasReadOnlyDisk ? 1u : 0);
    }

    public long Done => (long)ReferenceLibrary.Done(_backend);

    public void Run(int batch, int requests) => ReferenceLibrary.Run(_backend, (uint)batch, (uint)requests);

    public void Serve(int requests) => ReferenceLibrary.Serve(_backend, (uint)requests);

    public void Dispose() => ReferenceLibrary.Close(_backend);
}
