namespace Xen.Blkif.PerfTests.Ring;

/// <summary>Nanoseconds a request, in C# and in C.</summary>
/// <param name="Workload">Its name.</param>
/// <param name="CsharpNs">The engine of this library, whose thread looks for requests.</param>
/// <param name="CNs">C that does clock, copy, push and notification check for each request, as QEMU.</param>
/// <param name="Ratio">C# / C; the median of the rounds' ratios, as are the next two the least and the greatest.</param>
/// <param name="RatioLow">The least.</param>
/// <param name="RatioHigh">The greatest.</param>
/// <param name="SleepingNs">The engine of this library, whose thread sleeps between batches.</param>
/// <param name="RatioSleeping">That / C.</param>
/// <param name="CPerPassNs">C that does each of them once for a pass, as the engine.</param>
/// <param name="RatioPerPass">C#, looking / that C.</param>
internal sealed record RingRow(
    string Workload,
    double CsharpNs,
    double CNs,
    double Ratio,
    double RatioLow,
    double RatioHigh,
    double SleepingNs,
    double RatioSleeping,
    double CPerPassNs,
    double RatioPerPass);
