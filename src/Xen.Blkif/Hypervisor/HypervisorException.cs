namespace Xen.Blkif.Hypervisor;

/// <summary>A call to the hypervisor or to xenstore failed. The message names the path, domain, port or reference, and the reason.</summary>
public sealed class HypervisorException : IOException
{
    /// <summary>Says what failed.</summary>
    /// <param name="message">One sentence that names what was asked and why it failed.</param>
    public HypervisorException(string message) : base(message)
    {
    }

    /// <summary>Says what failed and what caused it.</summary>
    /// <param name="message">One sentence that names what was asked and why it failed.</param>
    /// <param name="innerException">The cause.</param>
    public HypervisorException(string message, Exception? innerException) : base(message, innerException)
    {
    }
}
