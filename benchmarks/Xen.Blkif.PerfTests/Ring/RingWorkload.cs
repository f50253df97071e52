using Xen.Blkif.Protocol;

namespace Xen.Blkif.PerfTests.Ring;

/// <summary>Requests of one kind.</summary>
/// <param name="Protocol">The layout that the frontend speaks.</param>
/// <param name="Segments">Pages in each; more than eleven make it indirect.</param>
/// <param name="Batch">Requests announced at once.</param>
internal sealed record RingWorkload(BlkifProtocol Protocol, int Segments, int Batch)
{
    /// <summary>Every layout, requests of 1, 11 and (indirect) 32 segments, batches of 1, 8 and 32.</summary>
    public static IReadOnlyList<RingWorkload> All { get; } =
    [
        .. from protocol in new[] { BlkifProtocol.X64, BlkifProtocol.X86 }
           from segments in new[] { 1, BlkifLimits.MaxSegments, RingGuest.MaxIndirectSegments }
           from batch in new[] { 1, 8, 32 }
           select new RingWorkload(protocol, segments, batch),
    ];

    public string Name =>
        $"{(Protocol == BlkifProtocol.X86 ? "x86_32" : "x86_64")}-{Segments}seg{(Segments > BlkifLimits.MaxSegments ? "-indirect" : "")}-batch{Batch}";

    public override string ToString() => Name;
}
