using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.PerfTests.Scale;

/// <summary>Devices of one kind, all in one process.</summary>
/// <param name="Devices">How many, each of a guest of its own.</param>
/// <param name="Queues">Queues of each.</param>
/// <param name="RingOrder">The page order of each ring.</param>
/// <param name="Block">Bytes of a request.</param>
/// <param name="Depth">Requests in each ring at once.</param>
/// <param name="Copies">Whether the guests have no persistent grants, so that data is copied.</param>
internal sealed record ScaleWorkload(int Devices = 1, int Queues = 1, int RingOrder = 0, int Block = 4096, int Depth = 32, bool Copies = false)
{
    // The largest that a slot of the ring can name, and the largest that Linux asks for unless told otherwise.
    private const int LargestSmall = BlkifLimits.MaxSegments * XenPage.Size;
    private const int LinuxDefault = 32 * XenPage.Size;

    // What a queue has memory for of the data of large requests that is copied.
    private const int CopiedAtOnce = 2 << 20;

    /// <summary>One thing after the other grows.</summary>
    public static IReadOnlyList<ScaleWorkload> All { get; } =
    [
        .. new[] { 1, 16, 256 }.Select(devices => new ScaleWorkload(Devices: devices, Depth: 8)),
        .. Enumerable.Range(1, 4).Select(queues => new ScaleWorkload(Queues: queues)),
        .. Enumerable.Range(1, 4).Select(order => new ScaleWorkload(RingOrder: order, Depth: 32 << order)),
        .. new[] { 16384, 65536, 262144, 1 << 20 }.Select(block => new ScaleWorkload(Block: block, Depth: 8)),
        .. new[] { LinuxDefault, 1 << 20 }.Select(block => new ScaleWorkload(Block: block)),
        .. new[] { 4096, LargestSmall, LinuxDefault, 1 << 20 }.Select(block => new ScaleWorkload(Block: block, Copies: true)),
        new(Block: 1 << 20, Depth: 2, Copies: true),
    ];

    public string Name => $"{Devices}dev-{Queues}q-order{RingOrder}-{Block / 1024}k-qd{Depth}{(Copies ? "-copy" : "")}";

    /// <summary>
    /// Requests that a backend takes at once from each ring, at least: of large ones no more than the options say, and, where their data may have to
    /// be copied, than it has memory for.
    /// </summary>
    public int UnderWay
    {
        get
        {
            if (Block <= LargestSmall)
                return Depth;
            var options = new BackendOptions();
            int taken = Math.Min(Depth, options.MaxIndirectRequests);
            bool staysMapped = !Copies && Depth * Block / XenPage.Size <= options.MaxPersistentGrants;
            return staysMapped ? taken : Math.Min(taken, CopiedAtOnce / Block);
        }
    }

    public override string ToString() => Name;
}
