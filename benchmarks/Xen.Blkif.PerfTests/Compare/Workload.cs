namespace Xen.Blkif.PerfTests.Compare;

/// <summary>A load on a disk.</summary>
/// <param name="Operation">As fio calls it: randread, randwrite, read, write.</param>
/// <param name="Block">Bytes of a request.</param>
/// <param name="Depth">Requests under way at once.</param>
/// <param name="Direct">Whether it goes past the page cache.</param>
/// <param name="Sleeps">
/// Whether the client sleeps until there are responses. Where the page cache answers, it also looks for them again and again, so that its sleep is
/// not what is measured.
/// </param>
internal sealed record Workload(string Operation, int Block, int Depth, bool Direct, bool Sleeps = true)
{
    /// <summary>What is compared.</summary>
    public static IReadOnlyList<Workload> All { get; } =
    [
        new("randread", 4096, 1, true),
        new("randread", 4096, 32, true),
        new("randwrite", 4096, 1, true),
        new("randwrite", 4096, 32, true),
        new("randread", 4096, 1, false, Sleeps: false),
        new("randread", 4096, 32, false, Sleeps: false),
        new("randread", 4096, 32, false),
        new("read", 65536, 8, true),
        new("write", 65536, 8, true),
        new("read", 1 << 20, 8, true),
        new("write", 1 << 20, 8, true),
    ];

    /// <summary>Whether the client looks for responses again and again.</summary>
    public bool Spins => !Sleeps;

    /// <summary>
    /// Whether processors are kept awake meanwhile. Not in writes: a thread of the kernel that ends them waits behind the spinner for up to
    /// 4 ms at a time (seen with Linux 6.18), which is worse than waking a processor.
    /// </summary>
    public bool KeepsAwake => !Operation.Contains("write", StringComparison.Ordinal);

    public string Name =>
        $"{(Direct ? "direct" : "cached")}-{Operation}-{(Block < 1 << 20 ? $"{Block / 1024}k" : $"{Block >> 20}M")}-qd{Depth}{(Direct || Spins ? "" : "-sleeping")}";

    public override string ToString() => Name;
}
