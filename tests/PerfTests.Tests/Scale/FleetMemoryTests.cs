using System.Text.Json;
using Xen.Blkif.PerfTests.Compare;
using Xen.Blkif.PerfTests.Scale;
using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.PerfTests.Tests.Scale;

/// <summary>What <c>scale</c> says of memory, in a process of its own.</summary>
internal sealed class FleetMemoryTests
{
    private const double MostIdleKib = 256, MostBusyKib = 4096;

    [TestCase("1dev-1q-order0-1024k-qd8", 0)]
    [TestCase("1dev-1q-order0-44k-qd32-copy", 32 * 44)]
    [TestCase("1dev-1q-order0-128k-qd32-copy", 16 * 128)]
    [TestCase("1dev-1q-order0-1024k-qd2-copy", 2 * 1024)]
    [TestCase("1dev-1q-order0-1024k-qd32", 2 * 1024, Description = "Both rows whose names begin so: with persistent grants and copied.")]
    public async Task A_backend_keeps_within_its_bounds_and_a_busy_one_has_the_data_of_its_requests(string workload, int dataKib)
    {
        using var folder = new TemporaryFolder();
        string file = folder.PathOf("rows");
        using var process = new ChildProcess("dotnet",
            Path.Combine(AppContext.BaseDirectory, "Xen.Blkif.PerfTests.dll"), "scale", "--only", workload, "--seconds", "0.1", "--json", file);
        await process.EndAsync();
        JsonElement[] rows = [.. JsonDocument.Parse(await File.ReadAllTextAsync(file)).RootElement.EnumerateArray()];
        Assert.That(rows, Is.Not.Empty);
        foreach (JsonElement row in rows)
        {
            Assert.That(row.GetProperty("backendIdleKib").GetDouble(), Is.GreaterThan(0).And.AtMost(MostIdleKib));
            Assert.That(row.GetProperty("backendBusyKib").GetDouble(), Is.GreaterThan(dataKib).And.AtMost(MostBusyKib));
        }
    }
}
