using System.CommandLine;
using System.Globalization;
using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Native;

namespace Xen.Blkif.Samples.Host.Commands;

/// <summary>Asks a guest for a disk, as a toolstack does; whoever serves it does the rest.</summary>
internal sealed class DetachCommand
{
    private static readonly TimeSpan RemovalPatience = TimeSpan.FromSeconds(2);

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
        _timeout.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: string text }] && double.TryParse(text, CultureInfo.InvariantCulture, out double seconds) && seconds is not (>= 0 and <= 86_400))
                result.AddError("--timeout is from 0 to 86400 seconds.");
        });
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
        if (!await UntilAsync(xen.Store, backend, IsClosed, TimeSpan.FromSeconds(arguments.GetValue(_timeout))))
        {
            await Console.Error.WriteLineAsync(
                $"failed: Domain {guest} keeps its disk {device}: unmount it there, and it will be let go; 'xen-blkif list' shows whether a process serves it.");
            return ExitCode.Failed;
        }

        // Whoever attached the disk removes its nodes next, and then it can be attached again. Nodes that stay are a toolstack's.
        await UntilAsync(xen.Store, backend, IsGone, RemovalPatience);
        return ExitCode.Okay;
    }

    private static bool IsGone(IXenStore store, string backend) => store.Read($"{backend}/frontend") is null;

    private static bool IsClosed(IXenStore store, string backend) => IsGone(store, backend) || store.Read($"{backend}/state") is "6";

    private static async Task<bool> UntilAsync(IXenStore store, string backend, Func<IXenStore, string, bool> condition, TimeSpan timeout)
    {
        using var changed = new SemaphoreSlim(0);
        using IDisposable watch = store.Watch(backend, _ => changed.Release());
        using var patience = new CancellationTokenSource(timeout);
        try
        {
            while (!condition(store, backend))
                await changed.WaitAsync(patience.Token);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
