using System.CommandLine;
using System.Globalization;
using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Native;

namespace Xen.Blkif.Samples.Host.Commands;

/// <summary>Shows the disks of a backend type, as xenstore has them: whoever serves them need not be asked.</summary>
internal sealed class ListCommand
{
    public Command Create()
    {
        var command = new Command("list", "Lists the disks: their states and what was negotiated.") { BackendTypeOption.Instance };
        command.SetAction(Run);
        return command;
    }

    private static int Run(ParseResult arguments)
    {
        using var xen = XenHost.Open();
        string root = $"/local/domain/{xen.Domain}/backend/{arguments.GetValue(BackendTypeOption.Instance)}";
        Console.WriteLine($"{"DOMAIN",-16} {"DISK",-8} {"MODE",-4} {"SIZE",10} {"BACKEND",-12} {"FRONTEND",-12} {"LAYOUT",-10} {"PAGES",5}  TARGET");
        foreach (string guest in xen.Store.List(root))
        {
            foreach (string number in xen.Store.List($"{root}/{guest}"))
                Console.WriteLine(Describe(xen.Store, $"{root}/{guest}/{number}", guest));
        }

        return ExitCode.Okay;
    }

    private static string Describe(IXenStore store, string backend, string guest)
    {
        string frontend = store.Read($"{backend}/frontend") ?? "";
        long sectors = long.TryParse(store.Read($"{backend}/sectors"), NumberStyles.None, CultureInfo.InvariantCulture, out long count) ? count : 0;
        int order = int.TryParse(store.Read($"{frontend}/ring-page-order"), NumberStyles.None, CultureInfo.InvariantCulture, out int pages) ? pages : 0;
        string reason = store.Read($"{backend}/hotplug-error") is { } error ? $" ({error})" : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{DomainName.Of(store, guest),-16} {store.Read($"{backend}/dev"),-8} {store.Read($"{backend}/mode"),-4} {sectors / 2048.0,7:0.#}MiB {StateOf(store, backend),-12} {StateOf(store, frontend),-12} {store.Read($"{frontend}/protocol") ?? "-",-10} {1 << order,5}  {store.Read($"{backend}/params") ?? "-"}{reason}");
    }

    private static string StateOf(IXenStore store, string half) =>
        int.TryParse(store.Read($"{half}/state"), NumberStyles.None, CultureInfo.InvariantCulture, out int state) ? ((XenbusState)state).ToString() : "gone";
}
