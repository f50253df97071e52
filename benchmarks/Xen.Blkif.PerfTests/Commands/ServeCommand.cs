using System.CommandLine;
using System.Runtime.InteropServices;
using Xen.Blkif.Backend;
using Xen.Blkif.Engine;
using Xen.Blkif.PerfTests.Transport;
using Xen.Blkif.Targets;

namespace Xen.Blkif.PerfTests.Commands;

/// <summary>A backend without Xen, for the load generator.</summary>
internal sealed class ServeCommand
{
    private readonly Option<string> _socket = new("--socket") { Description = "The Unix socket to listen on.", HelpName = "PATH", Required = true };
    private readonly Option<DiskTarget> _target = new("--target") { Description = "What serves the file; memory and null only have its size.", DefaultValueFactory = _ => DiskTarget.Uring, HelpName = "uring|file|memory|null" };
    private readonly Option<bool> _direct = new("--direct") { Description = "Past the page cache (O_DIRECT)." };
    private readonly Option<int> _cpu = new("--cpu") { Description = "The processor that queues stay on; -1 for any.", DefaultValueFactory = _ => -1 };
    private readonly Option<GuestMemoryAccess> _guestMemory = new("--guest-memory")
    {
        Description = "How data gets to the target and back.", DefaultValueFactory = _ => GuestMemoryAccess.Persistent, HelpName = "copy|map|persistent",
    };

    private readonly Option<int> _maxPoll = new("--max-poll-us")
    {
        Description = "How long a queue looks for work before it sleeps, at most, in microseconds.",
        DefaultValueFactory = _ => (int)new BackendOptions().MaxPollTime.TotalMicroseconds,
        HelpName = "N",
    };

    public Command Create()
    {
        var command = new Command("serve", "Serves a file to clients that share their memory over a Unix socket, as loadgen of benchmarks/reference does, until SIGINT or SIGTERM.")
        {
            _socket, CommonOptions.File, _target, _direct, _cpu, _guestMemory, _maxPoll,
        };
        command.SetAction((arguments, _) => RunAsync(arguments));
        return command;
    }

    private async Task<int> RunAsync(ParseResult arguments)
    {
        using var stop = new CancellationTokenSource();
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Cancel);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Cancel);
        await using IBlockTarget target = DiskTargets.Open(arguments.GetValue(_target), arguments.GetValue(CommonOptions.File)!, arguments.GetValue(_direct));
        var options = new ServeOptions(arguments.GetValue(_cpu), arguments.GetValue(_guestMemory), TimeSpan.FromMicroseconds(arguments.GetValue(_maxPoll)));
        using var server = new Server(arguments.GetValue(_socket)!, target, options, Console.Error);
        await server.RunAsync(stop.Token);
        return ExitCode.Okay;

        void Cancel(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }
    }
}
