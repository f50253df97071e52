namespace Xen.Blkif.Targets;

/// <summary>A target cannot be opened. The message is one sentence for the operator: the file, the reason, the remedy.</summary>
public sealed class TargetException : IOException
{
    /// <summary>Says what is wrong.</summary>
    /// <param name="message">One sentence for the operator.</param>
    /// <param name="innerException">The cause, where there is one.</param>
    public TargetException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
