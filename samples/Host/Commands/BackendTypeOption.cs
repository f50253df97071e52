using System.CommandLine;
using Xen.Blkif.Backend;

namespace Xen.Blkif.Samples.Host.Commands;

/// <summary>The folder of the backend's half in xenstore.</summary>
internal static class BackendTypeOption
{
    public static Option<string> Instance { get; } = new("--backend-type")
    {
        HelpName = "TYPE",
        Description = "The folder of the devices below backend/ in xenstore.",
        DefaultValueFactory = _ => new BackendOptions().BackendType,
    };
}
