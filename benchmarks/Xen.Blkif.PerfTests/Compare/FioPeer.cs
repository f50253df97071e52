using System.Globalization;
using System.Text.Json;

namespace Xen.Blkif.PerfTests.Compare;

/// <summary>fio with io_uring: what the storage gives to one thread that has it for itself.</summary>
internal sealed class FioPeer(Stand stand, Workload workload) : IPeer
{
    public string Name => "fio";

    public async Task<Figures> RunAsync(int depth, double seconds)
    {
        using JsonDocument report = await FioAsync([], depth, seconds);
        JsonElement job = report.RootElement.GetProperty("jobs")[0];
        JsonElement side = job.GetProperty(workload.Operation.Contains("write", StringComparison.Ordinal) ? "write" : "read");
        JsonElement percentiles = side.GetProperty("lat_ns").GetProperty("percentile");
        double iops = side.GetProperty("iops").GetDouble();
        double busy = (job.GetProperty("usr_cpu").GetDouble() + job.GetProperty("sys_cpu").GetDouble()) / 100;
        return new Figures(
            iops,
            iops * workload.Block / 1e6,
            percentiles.GetProperty("50.000000").GetDouble() / 1e3,
            percentiles.GetProperty("99.000000").GetDouble() / 1e3,
            busy * 1e6 / iops);
    }

    public async Task<double?> CountSystemCallsAsync(int depth, double seconds)
    {
        if (!Tools.Has("perf"))
            return null;
        string output = stand.Programs.PathOf("system-calls");
        using JsonDocument report = await FioAsync(["perf", .. SystemCallCounter.OptionsFor(output)], depth, seconds);
        JsonElement job = report.RootElement.GetProperty("jobs")[0];
        long requests = job.GetProperty("read").GetProperty("total_ios").GetInt64() + job.GetProperty("write").GetProperty("total_ios").GetInt64();
        return SystemCallCounter.Read(output) / requests;
    }

    public void Dispose()
    {
        // Nothing runs between two turns.
    }

    private async Task<JsonDocument> FioAsync(string[] under, int depth, double seconds)
    {
        string[] words =
        [
            .. under, "fio", "--name=disk", $"--filename={stand.File}", $"--size={stand.Bytes}", "--ioengine=io_uring", "--registerfiles=1", "--fixedbufs=1",
            $"--direct={(workload.Direct ? 1 : 0)}", $"--rw={workload.Operation}", $"--bs={workload.Block}", $"--iodepth={depth}", "--norandommap",
            "--randrepeat=0", "--invalidate=0", "--time_based", $"--runtime={Math.Max(seconds, 1).ToString("0", CultureInfo.InvariantCulture)}",
            "--lat_percentiles=1", "--percentile_list=50:99", $"--cpus_allowed={stand.BackendCpu}", "--output-format=json",
        ];
        using var fio = new ChildProcess(words[0], words[1..]);
        string output = await fio.EndAsync();
        return JsonDocument.Parse(output[output.IndexOf('{')..]);
    }
}
