using System.CommandLine;
using System.CommandLine.Parsing;
using Xen.Blkif.Backend;
using Xen.Blkif.Engine;

namespace Xen.Blkif.Samples.Host.Commands;

/// <summary>How data gets to a guest and back.</summary>
internal static class GuestMemoryOption
{
    public static Option<GuestMemoryAccess> Instance { get; } = new("--guest-memory")
    {
        HelpName = "copy|map|persistent",
        Description = "How data gets to a guest and back: copied, by mapping its pages for each request, or by pages that stay mapped (copied where the guest does not offer that). [default: copy]",
        DefaultValueFactory = _ => new BackendOptions().GuestMemory,
        CustomParser = Parse,
    };

    private static GuestMemoryAccess Parse(ArgumentResult result)
    {
        switch (result.Tokens[0].Value)
        {
            case "copy":
                return GuestMemoryAccess.Copy;
            case "map":
                return GuestMemoryAccess.Map;
            case "persistent":
                return GuestMemoryAccess.Persistent;
            default:
                result.AddError($"--guest-memory '{result.Tokens[0].Value}' is none of copy, map and persistent.");
                return default;
        }
    }
}
