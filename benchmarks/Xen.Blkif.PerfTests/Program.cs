using System.CommandLine;
using System.CommandLine.Parsing;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.PerfTests;
using Xen.Blkif.PerfTests.Commands;
using Xen.Blkif.Targets;

var root = new RootCommand("""
    Measures this library beside its peers.

    Exit codes: 0 done; 1 a measurement failed; 2 options, or what they name, that cannot be used, or a tool that is not installed.
    """)
{
    new RingCommand().Create(),
    new ServeCommand().Create(),
    new CompareCommand().Create(),
    new ScaleCommand().Create(),
};

ParseResult parsed = root.Parse(args);
if (parsed.Errors.Count > 0)
{
    foreach (ParseError error in parsed.Errors)
        await Console.Error.WriteLineAsync($"error: {error.Message}");
    await Console.Error.WriteLineAsync("'--help' lists commands and options.");
    return ExitCode.Unusable;
}

try
{
    return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
}
catch (Exception e) when (e is UserException or TargetException)
{
    await Console.Error.WriteLineAsync($"error: {e.Message}");
    return ExitCode.Unusable;
}
catch (Exception e) when (e is HypervisorException or IOException or InvalidOperationException)
{
    await Console.Error.WriteLineAsync($"failed: {e.Message}");
    return ExitCode.Failed;
}
