namespace Xen.Blkif.PerfTests;

/// <summary>What was asked for cannot be done. The message is one sentence that says why, and what to do.</summary>
internal sealed class UserException(string message) : Exception(message);

/// <summary>What the program tells its caller.</summary>
internal static class ExitCode
{
    public const int Okay = 0;

    /// <summary>A measurement failed.</summary>
    public const int Failed = 1;

    /// <summary>The options, or what they name, cannot be used, or a tool is missing.</summary>
    public const int Unusable = 2;
}
