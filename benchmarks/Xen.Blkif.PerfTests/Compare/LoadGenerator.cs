using System.Globalization;
using System.Text.Json;
using Xen.Blkif.PerfTests.Reference;

namespace Xen.Blkif.PerfTests.Compare;

/// <summary>Runs <c>loadgen</c>.</summary>
/// <param name="programs">Where it is.</param>
/// <param name="cpu">The processor that it stays on.</param>
internal sealed class LoadGenerator(ReferencePrograms programs, int cpu)
{
    private static readonly JsonSerializerOptions CamelCase = new(JsonSerializerDefaults.Web);

    /// <summary>What it prints.</summary>
    internal sealed record Report(
        double Iops, double MegabytesPerSecond, double P50Us, double P99Us, long Requests, double KicksPerRequest, double CallsPerRequest);

    /// <summary>The command, with its arguments.</summary>
    /// <param name="transport">blkif or vhost.</param>
    /// <param name="socket">The backend's socket.</param>
    /// <param name="bytes">Bytes of the disk.</param>
    /// <param name="workload">The load.</param>
    /// <param name="depth">Requests under way at once.</param>
    /// <param name="seconds">How long.</param>
    /// <param name="ringOrder">The page order of a blkif ring; <see langword="null"/> for one that has room for the depth.</param>
    public string[] Command(string transport, string socket, long bytes, Workload workload, int depth, double seconds, int? ringOrder = null) =>
    [
        programs.LoadGenerator, transport, socket, Number(bytes), workload.Operation, Number(workload.Block), Number(depth), Number(seconds),
        workload.Spins ? "spin" : "block", Number(ringOrder ?? (depth > 32 ? 4 : 2)), Number(cpu),
    ];

    /// <summary>What a run printed.</summary>
    public static Report Parse(string output) => JsonSerializer.Deserialize<Report>(output, CamelCase)!;

    private static string Number(IFormattable value) => value.ToString(null, CultureInfo.InvariantCulture);
}
