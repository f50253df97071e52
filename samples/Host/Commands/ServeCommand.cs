using System.CommandLine;
using Microsoft.Extensions.Logging;
using Xen.Blkif.Backend;
using Xen.Blkif.Native;
using Xen.Blkif.Samples.Host.Status;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Samples.Host.Commands;

/// <summary>Serves every disk that a toolstack offers under one backend type, until it is told to stop.</summary>
internal sealed class ServeCommand
{
    private readonly Logs _logs = new();

    public Command Create()
    {
        var command = new Command("serve", $"Serves every disk that a toolstack creates under this domain's backend/TYPE, as in a storage driver domain. {Reload.Help}")
        {
            SectorSizeOption.Instance, FlushFailureOption.Instance, MaxQueuesOption.Instance, MaxPollOption.Instance, GuestMemoryOption.Instance,
            MaxMemoryOption.Instance, FileIoOptions.Way, FileIoOptions.Direct, BackendTypeOption.Instance,
        };
        _logs.AddTo(command);
        command.SetAction((arguments, _) => RunAsync(arguments));
        return command;
    }

    private async Task<int> RunAsync(ParseResult arguments)
    {
        using ILoggerFactory logs = _logs.Open(arguments);
        using var stop = new Stop();
        using var reload = new Reload();
        using var xen = XenHost.Open();
        var options = new BackendOptions
        {
            BackendType = arguments.GetValue(BackendTypeOption.Instance)!,
            MaxQueues = arguments.GetValue(MaxQueuesOption.Instance),
            MaxPollTime = arguments.GetValue(MaxPollOption.Instance),
            GuestMemory = arguments.GetValue(GuestMemoryOption.Instance),
            MemoryBudget = arguments.GetValue(MaxMemoryOption.Instance)!,
            FlushFailure = FlushFailureOption.Of(arguments),
            StateFolder = StatusFolder.TryMakeCurrent(logs),
            LoggerFactory = logs,
        };
        int? sectorSize = arguments.GetValue(SectorSizeOption.Instance);
        FileOpener openFile = FileIoOptions.OpenerOf(arguments);
        FileTargetOptions file = FileIoOptions.Of(arguments, logs);
        await using var watcher = new BackendWatcher(xen, disk => Open(disk, openFile, file, sectorSize), options);
        await using var status = StatusServer.TryStart(
            StatusFolder.Current, () => [.. watcher.Devices.Select(disk => DiskReport.Of(disk, xen.Store))], logs);
        reload.Reads(watcher.RefreshSizes);
        ServiceManager.Tell("READY=1");
        await stop.Requested;
        ServiceManager.Tell("STOPPING=1");
        return ExitCode.Okay;
    }

    private static IBlockTarget Open(OfferedDisk disk, FileOpener openFile, FileTargetOptions file, int? sectorSize)
    {
        if (disk.IsInUse && !TargetSpec.OutlivesProcess(disk.Params))
            throw new TargetException($"What was in '{disk.Params}' is lost: the process that had it was killed.");
        return TargetSpec.Open(disk.Params, openFile, file with { ReadOnly = disk.IsReadOnly }, sectorSize);
    }
}
