using System.Globalization;
using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Samples.Host.Status;

namespace Xen.Blkif.Samples.Host.Listing;

/// <summary>A disk as xenstore has it, with what the process says that serves it. What is not known is null.</summary>
internal sealed record ListedDisk
{
    /// <summary>The guest's number.</summary>
    public required int Domain { get; init; }

    /// <summary>The guest's name, or its number where it has none.</summary>
    public required string DomainName { get; init; }

    /// <summary>The disk's name in the guest.</summary>
    public required string Disk { get; init; }

    /// <summary>The backend's half in xenstore.</summary>
    public required string Backend { get; init; }

    /// <summary>What the guest may do: <c>w</c> or <c>r</c>.</summary>
    public string? Mode { get; init; }

    /// <summary>Bytes.</summary>
    public long? Size { get; init; }

    /// <summary>The state of the backend.</summary>
    public string? State { get; init; }

    /// <summary>The state of the frontend.</summary>
    public string? FrontendState { get; init; }

    /// <summary>The layout of requests.</summary>
    public string? Protocol { get; init; }

    /// <summary>Pages of each ring.</summary>
    public int? RingPages { get; init; }

    /// <summary>How data gets to the guest and back: copy, map or persistent.</summary>
    public string? GuestMemory { get; init; }

    /// <summary>The storage.</summary>
    public string? Target { get; init; }

    /// <summary>Why it is not served.</summary>
    public string? Error { get; init; }

    /// <summary>The process that serves it.</summary>
    public int? Pid { get; init; }

    /// <summary>Its rings.</summary>
    public int? Queues { get; init; }

    /// <summary>What was done since the guest connected.</summary>
    public OperationsReport? Operations { get; init; }

    /// <summary>Reads the disks of a backend type from xenstore and adds what the processes say of them.</summary>
    public static IReadOnlyList<ListedDisk> ReadAll(IXenHost xen, string backendType, IReadOnlyList<ProcessReport> processes)
    {
        Dictionary<string, (int Pid, DiskReport Disk)> served = new(StringComparer.Ordinal);
        foreach (ProcessReport process in processes)
        {
            foreach (DiskReport disk in process.Disks)
                served[disk.Backend] = (process.Pid, disk);
        }

        string root = $"/local/domain/{xen.Domain}/backend/{backendType}";
        var disks = new List<ListedDisk>();
        foreach (string guest in xen.Store.List(root))
        {
            foreach (string number in xen.Store.List($"{root}/{guest}"))
            {
                ListedDisk disk = Read(xen.Store, $"{root}/{guest}/{number}", guest, number);
                disks.Add(served.TryGetValue(disk.Backend, out (int Pid, DiskReport Disk) found) ? disk.With(found.Pid, found.Disk) : disk);
            }
        }

        return disks;
    }

    private static ListedDisk Read(IXenStore store, string backend, string guest, string number)
    {
        string frontend = store.Read($"{backend}/frontend") ?? "";
        return new ListedDisk
        {
            Domain = (int)(NumberIn(guest) ?? -1),
            DomainName = Host.DomainName.Of(store, guest),
            Disk = store.Read($"{backend}/dev") ?? number,
            Backend = backend,
            Mode = store.Read($"{backend}/mode"),
            Size = NumberIn(store.Read($"{backend}/sectors")) * 512,
            State = StateOf(store, backend),
            FrontendState = StateOf(store, frontend),
            Target = store.Read($"{backend}/params"),
            Error = store.Read($"{backend}/hotplug-error") ?? store.Read($"{backend.Replace("/backend/", "/error/backend/", StringComparison.Ordinal)}/error"),
        };
    }

    private ListedDisk With(int pid, DiskReport report) => this with
    {
        Target = report.Target ?? Target,
        Pid = pid,
        Protocol = report.Protocol,
        RingPages = report.RingPages,
        GuestMemory = report.GuestMemory,
        Queues = report.Queues,
        Operations = report.Operations,
    };

    private static string? StateOf(IXenStore store, string half) => NumberIn(store.Read($"{half}/state")) is { } state ? ((XenbusState)state).ToString() : null;

    private static long? NumberIn(string? text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : null;
}
