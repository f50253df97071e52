namespace Xen.Blkif.Samples.Host.Status;

/// <summary>Where the sockets are by which processes that serve disks tell of them, one <c>PID.sock</c> each.</summary>
internal static class StatusFolder
{
    /// <summary>What systemd made for its unit, or what it would make.</summary>
    public static string Current =>
        Environment.GetEnvironmentVariable("RUNTIME_DIRECTORY") is { Length: > 0 } folders ? folders.Split(':')[0] : "/run/xen-blkif";
}
