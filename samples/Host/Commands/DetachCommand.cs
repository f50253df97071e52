using System.CommandLine;
using System.Globalization;
using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Native;

namespace Xen.Blkif.Samples.Host.Commands;

/// <summary>Asks a guest for a disk, as a toolstack does; whoever serves it does the rest.</summary>
internal sealed class DetachCommand
{
    private readonly Argument<string> _domain = new("DOMAIN") { Description = "The guest's name or number." };
    private readonly Argument<string> _vdev = new("VDEV") { Description = "The disk's name in the guest, such as xvdb." };
    private readonly Option<double> _timeout = new("--timeout")
    {
        HelpName = "SECONDS",
        Description = "How long to wait for the guest to let go.",
        DefaultValueFactory = _ => 30,
    };

    public Command Create()
    {
        var command = new Command("detach", "Takes a disk away from a guest.") { _domain, _vdev, _timeout, BackendTypeOption.Instance };
        command.SetAction((arguments, _) => RunAsync(arguments));
        return command;
    }

    private async Task<int> RunAsync(ParseResult arguments)
    {
        if (!VirtualDevice.TryParse(arguments.GetValue(_vdev), out VirtualDevice device))
            throw new UserException($"'{arguments.GetValue(_vdev)}' names no virtual disk: use a name such as xvda, hda or d0p1.");

        using var xen = XenHost.Open();
        DomainId guest = DomainName.Find(xen.Store, arguments.GetValue(_domain)!);
        string type = arguments.GetValue(BackendTypeOption.Instance)!;
        if (!BlockBackend.RequestDetach(xen, guest, device.Name, type))
            throw new UserException($"Domain {guest} has no disk {device} of this backend type: 'xen-blkif list' shows what there is.");

        string backend = string.Create(CultureInfo.InvariantCulture, $"/local/domain/{xen.Domain}/backend/{type}/{guest}/{device.Number}");
        using var gone = new SemaphoreSlim(0);
        using IDisposable watch = xen.Store.Watch(backend, _ => gone.Release());
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(arguments.GetValue(_timeout)));
        while (xen.Store.Read($"{backend}/frontend") is not null && xen.Store.Read($"{backend}/state") is not "6")
        {
            try
            {
                await gone.WaitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                await Console.Error.WriteLineAsync($"failed: Domain {guest} keeps its disk {device}: unmount it there, and it will be let go.");
                return ExitCode.Failed;
            }
        }

        return ExitCode.Okay;
    }
}
