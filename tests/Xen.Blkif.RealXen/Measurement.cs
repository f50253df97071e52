using System.Globalization;

namespace Xen.Blkif.RealXen;

/// <summary>One run of fio in a guest.</summary>
/// <param name="Round">Which round it belongs to; within one, all backends are measured.</param>
/// <param name="Workload">Pattern, block size and depth.</param>
/// <param name="Backend">Who served the disk.</param>
/// <param name="RequestsPerSecond">As fio counted them.</param>
/// <param name="MebibytesPerSecond">As fio counted them.</param>
/// <param name="ProcessorMicrosecondsPerRequest">What domain 0's processors spent meanwhile, on everything.</param>
internal sealed record Measurement(
    int Round, string Workload, string Backend, double RequestsPerSecond, double MebibytesPerSecond, double ProcessorMicrosecondsPerRequest)
{
    // Where fio's terse output, version 3, has them: KiB per second and requests per second, of reads and of writes.
    private const int ReadRate = 6;
    private const int WriteRate = 47;

    /// <summary>Reads a line such as <c>@@ row ROUND WORKLOAD BACKEND MICROSECONDS-PER-SECOND TERSE</c>; null where it is no such line.</summary>
    public static Measurement? TryParse(string line)
    {
        if (line.Split(' ', 7) is not ["@@", "row", var round, var workload, var backend, var busy, var terse])
            return null;
        string[] fields = terse.Split(';');
        int field = workload.Contains("write", StringComparison.Ordinal) ? WriteRate : ReadRate;
        double requests = Number(fields[field + 1]);
        return new Measurement((int)Number(round), workload, backend, requests, Number(fields[field]) / 1024, Number(busy) / requests);
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
}
