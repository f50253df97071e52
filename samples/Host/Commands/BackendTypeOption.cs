using System.CommandLine;
using Xen.Blkif.Backend;

namespace Xen.Blkif.Samples.Host.Commands;

/// <summary>The folder of the backend's half in xenstore.</summary>
internal static class BackendTypeOption
{
    public static Option<string> Instance { get; } = Create();

    private static Option<string> Create()
    {
        var option = new Option<string>("--backend-type")
        {
            HelpName = "TYPE",
            Description = "The folder of the devices below backend/ in xenstore.",
            DefaultValueFactory = _ => new BackendOptions().BackendType,
        };
        option.Validators.Add(result =>
        {
            if (result.Tokens is not [{ Value: string type }])
                return;
            try
            {
                _ = new BackendOptions { BackendType = type };
            }
            catch (ArgumentException)
            {
                result.AddError($"--backend-type '{type}' names no folder of xenstore: use small letters, digits, - and _.");
            }
        });
        return option;
    }
}
