using System.Diagnostics;
using Xen.Blkif.PerfTests.Compare;

[assembly: Parallelizable(ParallelScope.Children)]

namespace Xen.Blkif.PerfTests.Tests;

/// <summary>The program, from the command line to the exit code.</summary>
internal sealed class ProgramTests
{
    [Test]
    public async Task Help_lists_every_command_and_every_exit_code()
    {
        (int status, string output, _) = await RunAsync("--help");
        Assert.That(status, Is.Zero);
        foreach (string word in new[] { "ring", "serve", "compare", "scale", "0 done", "1 a measurement", "2 options" })
            Assert.That(output, Does.Contain(word));
    }

    [TestCase("--help", "frobnicate")]
    [TestCase("--rounds is at least 1", "ring", "--rounds", "0")]
    [TestCase("there are x86_64-1seg-batch1,", "ring", "--only", "nothing")]
    [TestCase("does not exist", "serve", "--socket", "s", "--file", "/nowhere/disk")]
    [TestCase("is no file of 16 MiB or more", "compare", "--file", "/nowhere/disk")]
    [TestCase("--seconds is more than 0", "scale", "--seconds", "0")]
    [TestCase("--help", "serve", "--file", "disk")]
    public async Task Misuse_is_told_in_a_sentence_with_exit_code_2(string words, params string[] arguments)
    {
        (int status, string output, string errors) = await RunAsync(arguments);
        Assert.That(status, Is.EqualTo(2), output + errors);
        Assert.That(errors, Does.StartWith("error: ").And.Contain(words).And.Not.Contain("   at "));
    }

    [Test]
    public void A_plot_has_a_line_for_each_percentile_of_each_peer()
    {
        var curves = new Dictionary<string, IReadOnlyList<CurvePoint>>
        {
            ["ours"] = [Point(1, 10_000, 90, 200), Point(2, 18_000, 110, 300)],
            ["fio"] = [Point(1, 12_000, 80, 150), Point(2, 20_000, 95, 250)],
        };
        var plot = System.Xml.Linq.XDocument.Parse(new LatencyPlot(curves).Draw("title"));
        Assert.That(plot.Descendants().Count(element => element.Name.LocalName == "polyline"), Is.EqualTo(4));
    }

    private static CurvePoint Point(int depth, double iops, double p50, double p99) => new(depth, new Figures(iops, iops * 4096 / 1e6, p50, p99, 1));

    private static async Task<(int Status, string Output, string Errors)> RunAsync(params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "Xen.Blkif.PerfTests.dll"), .. arguments])
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        string errors = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, errors);
    }
}
