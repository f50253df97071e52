using System.CommandLine;
using Microsoft.Extensions.Logging;
using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Native;
using Xen.Blkif.Samples.Host.Status;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Samples.Host.Commands;

/// <summary>Gives a running guest a disk and serves it until the disk is detached or the guest is gone.</summary>
internal sealed class AttachCommand
{
    private readonly Argument<string> _domain = new("DOMAIN") { Description = "The guest's name or number." };
    private readonly Argument<string> _vdev = new("VDEV") { Description = "The disk's name in the guest, such as xvdb." };
    private readonly Argument<string> _target = new("TARGET") { Description = $"The storage: {TargetSpec.Syntax}." };
    private readonly Option<bool> _readOnly = new("--read-only") { Description = "The guest may not write." };
    private readonly Option<bool> _cdrom = new("--cdrom") { Description = "The guest sees a CD-ROM drive; implies --read-only." };
    private readonly Logs _logs = new();

    public Command Create()
    {
        var command = new Command("attach", $"Attaches a disk to a guest and serves it in the foreground. SIGTERM detaches it; killed and run again, it takes it back. {Reload.Help}")
        {
            _domain, _vdev, _target, _readOnly, _cdrom, SectorSizeOption.Instance, FlushFailureOption.Instance, MaxQueuesOption.Instance, MaxPollOption.Instance,
            GuestMemoryOption.Instance, FileIoOptions.Way, FileIoOptions.Direct, BackendTypeOption.Instance,
        };
        _logs.AddTo(command);
        command.SetAction((arguments, _) => RunAsync(arguments));
        return command;
    }

    private async Task<int> RunAsync(ParseResult arguments)
    {
        string vdev = arguments.GetValue(_vdev)!;
        if (!VirtualDevice.TryParse(vdev, out _))
            throw new UserException($"'{vdev}' names no virtual disk: use a name such as xvda, xvda1, hda, sda or d0p1.");

        using ILoggerFactory logs = _logs.Open(arguments);
        using var stop = new Stop();
        using var reload = new Reload();
        using var xen = XenHost.Open();
        DomainId guest = DomainName.Find(xen.Store, arguments.GetValue(_domain)!);
        string spec = arguments.GetValue(_target)!;
        FileTargetOptions file = FileIoOptions.Of(arguments, logs) with { ReadOnly = arguments.GetValue(_readOnly) || arguments.GetValue(_cdrom) };
        await using IBlockTarget target = TargetSpec.Open(spec, FileIoOptions.OpenerOf(arguments), file, arguments.GetValue(SectorSizeOption.Instance));
        await using BlockBackend vbd = await BlockBackend.AttachAsync(xen, guest, vdev, target, new BackendOptions
        {
            BackendType = arguments.GetValue(BackendTypeOption.Instance)!,
            MaxQueues = arguments.GetValue(MaxQueuesOption.Instance),
            MaxPollTime = arguments.GetValue(MaxPollOption.Instance),
            GuestMemory = arguments.GetValue(GuestMemoryOption.Instance),
            IsCdrom = arguments.GetValue(_cdrom),
            FlushFailure = FlushFailureOption.Of(arguments),
            StateFolder = TargetSpec.OutlivesProcess(spec) ? StatusFolder.TryMakeCurrent(logs) : null,
            LoggerFactory = logs,
        });
        await using var status = StatusServer.TryStart(
            StatusFolder.Current, () => [DiskReport.Of(vbd, xen.Store, spec)], logs);
        reload.Reads(vbd.RefreshSize);
        await Task.WhenAny(vbd.Completion, stop.Requested);
        return ExitCode.Okay;
    }
}
