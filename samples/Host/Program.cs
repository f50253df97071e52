using System.CommandLine;
using System.CommandLine.Parsing;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Samples.Host;
using Xen.Blkif.Samples.Host.Commands;
using Xen.Blkif.Targets;

var root = new RootCommand("""
    Serves disks to Xen guests from userspace.

    Exit codes: 0 done; 1 the hypervisor, xenstore or the storage failed; 2 options, or what they name, that cannot be used.
    """)
{
    new AttachCommand().Create(),
    new ServeCommand().Create(),
    new DetachCommand().Create(),
    new ListCommand().Create(),
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
catch (Exception e) when (e is HypervisorException or DllNotFoundException or IOException)
{
    await Console.Error.WriteLineAsync($"failed: {e.Message}");
    return ExitCode.Failed;
}
