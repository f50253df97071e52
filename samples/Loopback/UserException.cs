namespace Xen.Blkif.Samples.Loopback;

/// <summary>What was asked for cannot be done. The message is one sentence that says why, and what to do.</summary>
internal sealed class UserException(string message) : Exception(message);

/// <summary>What the program tells its caller.</summary>
internal static class ExitCode
{
    public const int Okay = 0;

    /// <summary>The disk gave back something else than was written, or a request failed.</summary>
    public const int Failed = 1;

    /// <summary>The options, or the files they name, cannot be used. Nothing was changed.</summary>
    public const int Unusable = 2;

    /// <summary>The user ended it.</summary>
    public const int Interrupted = 130;
}
