namespace Xen.Blkif.PerfTests.Scale;

/// <summary>Devices of one kind, all in one process.</summary>
/// <param name="Devices">How many, each of a guest of its own.</param>
/// <param name="Queues">Queues of each.</param>
/// <param name="RingOrder">The page order of each ring.</param>
/// <param name="Block">Bytes of a request.</param>
/// <param name="Depth">Requests under way at once on each queue.</param>
internal sealed record ScaleWorkload(int Devices = 1, int Queues = 1, int RingOrder = 0, int Block = 4096, int Depth = 32)
{
    /// <summary>One thing after the other grows.</summary>
    public static IReadOnlyList<ScaleWorkload> All { get; } =
    [
        .. new[] { 1, 16, 256 }.Select(devices => new ScaleWorkload(Devices: devices, Depth: 8)),
        .. Enumerable.Range(1, 4).Select(queues => new ScaleWorkload(Queues: queues)),
        .. Enumerable.Range(1, 4).Select(order => new ScaleWorkload(RingOrder: order, Depth: 32 << order)),
        .. new[] { 16384, 65536, 262144, 1 << 20 }.Select(block => new ScaleWorkload(Block: block, Depth: 8)),
    ];

    public string Name => $"{Devices}dev-{Queues}q-order{RingOrder}-{Block / 1024}k-qd{Depth}";

    public override string ToString() => Name;
}
