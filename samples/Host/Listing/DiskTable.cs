using System.Globalization;
using Xen.Blkif.Diagnostics;
using Xen.Blkif.Samples.Host.Status;

namespace Xen.Blkif.Samples.Host.Listing;

/// <summary>Disks, for people.</summary>
internal static class DiskTable
{
    public static string Of(IEnumerable<ListedDisk> disks)
    {
        var table = new Table(
            "DOMAIN", "DISK", "MODE", " SIZE", "STATE", "LAYOUT", " QUEUES", " PAGES", "MEMORY", " READS", " READ", " P50/P99", " WRITES", " WRITTEN", " P50/P99", " FLUSHES", " DISCARDS", " ERRORS", "TARGET");
        foreach (ListedDisk disk in disks)
        {
            OperationsReport? done = disk.Operations;
            table.Add(
                disk.DomainName,
                disk.Disk,
                disk.Mode,
                Bytes(disk.Size),
                StateOf(disk),
                disk.Protocol,
                Count(disk.Protocol is null ? null : disk.Queues),
                Count(disk.RingPages),
                disk.GuestMemory,
                Count(done?.Read.Done),
                Bytes(done?.Read.Bytes),
                Latency(done?.Read),
                Count(done?.Write.Done),
                Bytes(done?.Write.Bytes),
                Latency(done?.Write),
                Count(done?.Flush.Done),
                Count(done?.Discard.Done),
                Count(done?.Errors),
                disk.Error is null ? disk.Target : $"{disk.Target} ({disk.Error})");
        }

        return table.ToString();
    }

    // Both halves are in the same state most of the time.
    private static string StateOf(ListedDisk disk) =>
        disk.State is not null && disk.State == disk.FrontendState ? disk.State : $"{disk.State ?? "gone"}/{disk.FrontendState ?? "gone"}";

    private static string? Count(long? count) => count?.ToString(CultureInfo.InvariantCulture);

    private static string? Bytes(long? bytes) => bytes is null ? null : BinarySize.Format(bytes.Value);

    private static string? Latency(OperationReport? operation) =>
        operation is { P50Microseconds: { } median, P99Microseconds: { } high } ? $"{Time(median)}/{Time(high)}" : null;

    private static string Time(double microseconds) => microseconds switch
    {
        < 1e3 => string.Create(CultureInfo.InvariantCulture, $"{microseconds:0}µs"),
        < 1e6 => string.Create(CultureInfo.InvariantCulture, $"{microseconds / 1e3:0.#}ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{microseconds / 1e6:0.#}s"),
    };
}
