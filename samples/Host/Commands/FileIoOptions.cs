using System.CommandLine;
using System.CommandLine.Parsing;
using Microsoft.Extensions.Logging;
using Xen.Blkif.IoUring;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Samples.Host.Commands;

/// <summary>How files and block devices are read and written.</summary>
internal static class FileIoOptions
{
    // A process that was killed lets go of its files when the storage has done what it was asked, a little after it is gone.
    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(2);

    public static Option<FileOpener?> Way { get; } = new("--file-io")
    {
        HelpName = "auto|io_uring|threads",
        Description = "How files and block devices are read and written: by io_uring where this system has it, by it or not at all, or by threads. [default: auto]",
        CustomParser = Parse,
    };

    public static Option<bool?> Direct { get; } = new("--direct-io")
    {
        HelpName = "true|false",
        Description = "Whether images are read and written past this domain's page cache. [default: block devices with sectors of 512 bytes are, others and files are not]",
    };

    public static FileOpener OpenerOf(ParseResult arguments) => arguments.GetValue(Way) ?? FileTargets.Open;

    public static FileTargetOptions Of(ParseResult arguments, ILoggerFactory logs) => new()
    {
        DirectIo = arguments.GetValue(Direct),
        LockPatience = LockPatience,
        Logger = logs.CreateLogger<FileTarget>(),
    };

    private static FileOpener? Parse(ArgumentResult result)
    {
        switch (result.Tokens[0].Value)
        {
            case "auto":
                return FileTargets.Open;
            case "io_uring":
                return IoUringTarget.Open;
            case "threads":
                return FileTarget.Open;
            default:
                result.AddError($"--file-io '{result.Tokens[0].Value}' is none of auto, io_uring and threads.");
                return null;
        }
    }
}
