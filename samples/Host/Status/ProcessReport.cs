using System.Text.Json.Serialization;
using Xen.Blkif.Backend;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Samples.Host.Status;

/// <summary>What a process that serves disks says of itself to whoever connects to its socket.</summary>
/// <param name="Pid">The process.</param>
/// <param name="Disks">What it serves.</param>
internal sealed record ProcessReport(int Pid, IReadOnlyList<DiskReport> Disks);

/// <summary>One disk that is served.</summary>
/// <param name="Name">The guest and the device: <c>5/xvda</c>.</param>
/// <param name="Backend">The backend's half in xenstore.</param>
/// <param name="State">The state that the backend announced last.</param>
/// <param name="Target">The storage.</param>
/// <param name="Protocol">The layout that the frontend chose; null while it is not connected.</param>
/// <param name="RingPages">The pages of each of its rings; null while it is not connected.</param>
/// <param name="GuestMemory">How data gets to the guest and back; null while it is not connected.</param>
/// <param name="Queues">Its rings.</param>
/// <param name="Operations">What was done since it connected.</param>
internal sealed record DiskReport(
    string Name, string Backend, string State, string? Target, string? Protocol, int? RingPages, string? GuestMemory, int Queues, OperationsReport Operations)
{
    /// <param name="disk">The disk.</param>
    /// <param name="store">Where the toolstack wrote its part.</param>
    /// <param name="target">The storage; null where it is what the toolstack wrote.</param>
    public static DiskReport Of(BlockBackend disk, IXenStore store, string? target = null)
    {
        BackendConnection? connection = disk.Connection;
        IReadOnlyList<QueueStatistics> queues = disk.Queues;
        return new DiskReport(
            disk.Name,
            disk.Path,
            disk.State.ToString(),
            target ?? store.Read($"{disk.Path}/params"),
            connection is null ? null : NameOf(connection.Protocol),
            connection?.RingPages,
            connection is null ? null : NameOf(connection.GuestMemory),
            queues.Count,
            OperationsReport.Of(queues));
    }

    private static string NameOf(BlkifProtocol protocol) => protocol switch
    {
        BlkifProtocol.X64 => "x86_64",
        BlkifProtocol.X86 => "x86_32",
        _ => "native",
    };

    private static string NameOf(GuestMemoryAccess access) => access switch
    {
        GuestMemoryAccess.Copy => "copy",
        GuestMemoryAccess.Map => "map",
        _ => "persistent",
    };
}

/// <summary>What was done, by operation.</summary>
internal sealed record OperationsReport(OperationReport Read, OperationReport Write, OperationReport Flush, OperationReport Discard, OperationReport Other)
{
    public static OperationsReport Of(IReadOnlyList<QueueStatistics> queues) => new(
        OperationReport.Of(queues.Select(queue => queue.Reads)),
        OperationReport.Of(queues.Select(queue => queue.Writes)),
        OperationReport.Of(queues.Select(queue => queue.Flushes)),
        OperationReport.Of(queues.Select(queue => queue.Discards)),
        OperationReport.Of(queues.Select(queue => queue.Others)));

    /// <summary>Requests that were not done.</summary>
    [JsonIgnore]
    public long Errors => new[] { Read, Write, Flush, Discard, Other }.Sum(operation => operation.Failed + operation.Refused);
}

/// <summary>What one operation did on all queues; the latencies are null where there was none yet.</summary>
internal sealed record OperationReport(long Done, long Failed, long Refused, long Bytes, double? P50Microseconds, double? P99Microseconds)
{
    public static OperationReport Of(IEnumerable<OperationStatistics> queues)
    {
        long done = 0, failed = 0, refused = 0, bytes = 0;
        var latency = new LatencyHistogram();
        foreach (OperationStatistics queue in queues)
        {
            done += queue.Done;
            failed += queue.Failed;
            refused += queue.Refused;
            bytes += queue.Bytes;
            latency.Add(queue.Latency);
        }

        double? At(double share) => latency.Count > 0 ? latency.Percentile(share).TotalMicroseconds : null;
        return new OperationReport(done, failed, refused, bytes, At(0.5), At(0.99));
    }
}
