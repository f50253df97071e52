using System.Diagnostics;

[assembly: Parallelizable(ParallelScope.All)]

namespace Xen.Blkif.Samples.Host.Tests;

/// <summary>The tool, from the command line to the exit code, where there is no Xen.</summary>
internal sealed class ToolTests
{
    [Test]
    public async Task Help_lists_every_command_and_every_exit_code()
    {
        (int status, string output, _) = await RunAsync("--help");
        Assert.That(status, Is.Zero);
        foreach (string word in new[] { "attach", "serve", "detach", "list", "0 done", "1 the hypervisor", "2 options" })
            Assert.That(output, Does.Contain(word));
    }

    [TestCase("attach", "DOMAIN", "VDEV", "TARGET", "--read-only", "--cdrom", "--max-queues", "--guest-memory", "--file-io", "--direct-io", "--backend-type", "--log-level", "--json-logs")]
    [TestCase("serve", "--max-queues", "--guest-memory", "--max-memory", "--file-io", "--direct-io", "--backend-type", "--log-level", "--json-logs")]
    [TestCase("detach", "DOMAIN", "VDEV", "--timeout", "--backend-type")]
    [TestCase("list", "--json", "--backend-type")]
    public async Task Help_of_a_command_lists_what_it_takes(string command, params string[] words)
    {
        (int status, string output, _) = await RunAsync(command, "--help");
        Assert.That(status, Is.Zero);
        foreach (string word in words)
            Assert.That(output, Does.Contain(word));
    }

    [TestCase("--help", "frobnicate")]
    [TestCase("'web' names no virtual disk", "attach", "5", "web", "memory:1M")]
    [TestCase("'web' names no virtual disk", "detach", "5", "web")]
    [TestCase("--help", "attach", "5", "xvda")]
    [TestCase("--help", "list", "--frobnicate")]
    [TestCase("--help", "detach", "5", "xvda", "--timeout", "soon")]
    [TestCase("--timeout is from 0 to 86400 seconds", "detach", "5", "xvda", "--timeout", "-5")]
    [TestCase("--max-queues is from 1 to 16, not 17", "serve", "--max-queues", "17")]
    [TestCase("--max-queues is from 1 to 16, not 0", "attach", "5", "xvda", "memory:1M", "--max-queues", "0")]
    [TestCase("--help", "serve", "--max-queues", "many")]
    [TestCase("names no folder of xenstore", "attach", "5", "xvda", "memory:1M", "--backend-type", "VBD")]
    [TestCase("--file-io 'paper' is none of auto, io_uring and threads", "serve", "--file-io", "paper")]
    [TestCase("'paper' is none of copy, map and persistent", "serve", "--guest-memory", "paper")]
    [TestCase("--help", "serve", "--direct-io", "perhaps")]
    [TestCase("'little' is no size", "serve", "--max-memory", "little")]
    [TestCase("'-1' is no size", "serve", "--max-memory=-1")]
    public async Task Misuse_is_told_in_a_sentence_with_exit_code_2(string words, params string[] arguments)
    {
        (int status, string output, string errors) = await RunAsync(arguments);
        Assert.That(status, Is.EqualTo(2), output + errors);
        Assert.That(errors, Does.StartWith("error: ").And.Contain(words).And.Not.Contain("   at "));
    }

    [TestCase("list")]
    [TestCase("serve")]
    [TestCase("serve", "--max-memory", "64M")]
    [TestCase("attach", "5", "xvda", "memory:1M")]
    [TestCase("attach", "5", "xvda", "memory:1M", "--guest-memory", "map")]
    [TestCase("attach", "5", "xvda", "memory:1M", "--file-io", "threads", "--direct-io")]
    [TestCase("serve", "--direct-io", "false")]
    [TestCase("detach", "5", "xvda")]
    public async Task Without_a_hypervisor_the_exit_code_is_1_and_the_reason_one_sentence(params string[] arguments)
    {
        if (Directory.Exists("/proc/xen"))
            Assert.Ignore("ignored: this is a Xen host");
        (int status, string output, string errors) = await RunAsync(arguments);
        Assert.That(status, Is.EqualTo(1), output + errors);
        Assert.That(output, Is.Empty);
        Assert.That(errors, Does.StartWith("failed: ").And.Contain("xenstore").And.Not.Contain("   at "));
    }

    private static async Task<(int Status, string Output, string Errors)> RunAsync(params string[] arguments)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "xen-blkif.dll");
        using Process process = Process.Start(new ProcessStartInfo("dotnet", [program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, await errors);
    }
}
