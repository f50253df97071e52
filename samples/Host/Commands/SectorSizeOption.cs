using System.CommandLine;

namespace Xen.Blkif.Samples.Host.Commands;

/// <summary>The logical sector size that guests see.</summary>
internal static class SectorSizeOption
{
    public static Option<int?> Instance { get; } = Create();

    private static Option<int?> Create()
    {
        var option = new Option<int?>("--sector-size")
        {
            HelpName = "512|4096",
            Description = "The sector size that the guest sees, whatever the storage has; without it that of a block device, and 512 for a file.",
        };
        option.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: not ("512" or "4096") and string size }])
                result.AddError($"--sector-size '{size}' is none that guests know: use 512 or 4096.");
        });
        return option;
    }
}
