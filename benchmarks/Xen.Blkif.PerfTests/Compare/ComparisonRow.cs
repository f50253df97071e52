namespace Xen.Blkif.PerfTests.Compare;

/// <summary>One workload, by all peers.</summary>
/// <param name="Workload">Its name.</param>
/// <param name="Ours">This library.</param>
/// <param name="Fio">fio; none where it is not installed.</param>
/// <param name="Qemu">QEMU's storage daemon; none where it is not installed.</param>
/// <param name="Ratio">IOPS, ours / fio; the median of the rounds' ratios, as the next.</param>
/// <param name="RatioQemu">IOPS, ours / QEMU.</param>
/// <param name="CpuRatio">Processor time for a request, ours / fio.</param>
/// <param name="CpuRatioQemu">Processor time for a request, ours / QEMU.</param>
/// <param name="Missing">The peers that are not installed.</param>
internal sealed record ComparisonRow(
    string Workload,
    Figures Ours,
    Figures? Fio,
    Figures? Qemu,
    double? Ratio,
    double? RatioQemu,
    double? CpuRatio,
    double? CpuRatioQemu,
    IReadOnlyList<string> Missing);
