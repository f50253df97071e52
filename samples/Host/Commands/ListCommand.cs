using System.CommandLine;
using System.Text.Json;
using Xen.Blkif.Native;
using Xen.Blkif.Samples.Host.Listing;
using Xen.Blkif.Samples.Host.Status;

namespace Xen.Blkif.Samples.Host.Commands;

/// <summary>Shows the disks of a backend type: as xenstore has them, whoever serves them, and what the processes say that do.</summary>
internal sealed class ListCommand
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly Option<bool> _json = new("--json") { Description = "Write an array of objects, for machines." };

    public Command Create()
    {
        var command = new Command("list", "Lists the disks: their states, what was negotiated, and what was done.") { _json, BackendTypeOption.Instance };
        command.SetAction((arguments, _) => RunAsync(arguments));
        return command;
    }

    private async Task<int> RunAsync(ParseResult arguments)
    {
        using var xen = XenHost.Open();
        IReadOnlyList<ProcessReport> processes = await StatusClient.AskAllAsync(
            StatusFolder.Current, Patience, reason => Console.Error.WriteLine($"warning: {reason}"));
        IReadOnlyList<ListedDisk> disks = ListedDisk.ReadAll(xen, arguments.GetValue(BackendTypeOption.Instance)!, processes);
        Console.Out.Write(arguments.GetValue(_json) ? JsonSerializer.Serialize(disks, ReportJson.Default.IReadOnlyListListedDisk) + "\n" : DiskTable.Of(disks));
        return ExitCode.Okay;
    }
}
