using Microsoft.Extensions.Logging;

namespace Xen.Blkif.Samples.Host.Status;

/// <summary>
/// Where the sockets are by which processes that serve disks tell of them, one <c>PID.sock</c> each, and the files by which a process goes on
/// with the disks of one that was killed.
/// </summary>
internal static partial class StatusFolder
{
    /// <summary>What systemd made for its unit, or what it would make.</summary>
    public static string Current =>
        Environment.GetEnvironmentVariable("RUNTIME_DIRECTORY") is { Length: > 0 } folders ? folders.Split(':')[0] : "/run/xen-blkif";

    /// <summary>Makes a folder for this user alone, where it is missing.</summary>
    public static void Make(string folder)
    {
        if (!Directory.Exists(folder))
#pragma warning disable CA1416 // no Xen host is a Windows
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
#pragma warning restore CA1416
    }

    /// <summary>The folder for the state of disks.</summary>
    /// <param name="logs">Hears that it cannot be made, which is no reason not to serve disks.</param>
    /// <returns>Null where it cannot be made.</returns>
    public static string? TryMakeCurrent(ILoggerFactory logs)
    {
        try
        {
            Make(Current);
            return Current;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            LogNoFolder(logs.CreateLogger(typeof(StatusFolder).FullName!), Current, e.Message);
            return null;
        }
    }

    [LoggerMessage(63, LogLevel.Warning, "no folder {Folder}, so no disk is taken back after a kill: {Reason}")]
    private static partial void LogNoFolder(ILogger logger, string folder, string reason);
}
