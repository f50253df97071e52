namespace Xen.Blkif.PerfTests.Compare;

/// <summary>A load on a disk.</summary>
/// <param name="Operation">As fio calls it: randread, randwrite, read, write.</param>
/// <param name="Block">Bytes of a request.</param>
/// <param name="Depth">Requests under way at once.</param>
/// <param name="Direct">Whether it goes past the page cache.</param>
internal sealed record Workload(string Operation, int Block, int Depth, bool Direct)
{
    /// <summary>What is compared.</summary>
    public static IReadOnlyList<Workload> All { get; } =
    [
        new("randread", 4096, 1, true),
        new("randread", 4096, 32, true),
        new("randwrite", 4096, 1, true),
        new("randwrite", 4096, 32, true),
        new("randread", 4096, 1, false),
        new("randread", 4096, 32, false),
        new("read", 65536, 8, true),
        new("write", 65536, 8, true),
        new("read", 1 << 20, 8, true),
        new("write", 1 << 20, 8, true),
    ];

    /// <summary>
    /// Whether the client looks for responses again and again, so that its sleep is not what is measured: where the page cache answers.
    /// </summary>
    public bool Spins => !Direct;

    /// <summary>
    /// Whether processors are kept awake meanwhile. Not in writes: a thread of the kernel that ends them waits behind the spinner for up to
    /// 4 ms at a time (seen with Linux 6.18), which is worse than waking a processor.
    /// </summary>
    public bool KeepsAwake => !Operation.Contains("write", StringComparison.Ordinal);

    public string Name =>
        $"{(Direct ? "direct" : "cached")}-{Operation}-{(Block < 1 << 20 ? $"{Block / 1024}k" : $"{Block >> 20}M")}-qd{Depth}";

    public override string ToString() => Name;
}
