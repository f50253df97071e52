using Xen.Blkif.Protocol;

namespace Xen.Blkif.Testing;

/// <summary>The backend did not do what the frontend asked for.</summary>
public sealed class BlkifRequestException : IOException
{
    /// <summary>Says what was asked and what was answered.</summary>
    /// <param name="operation">The operation.</param>
    /// <param name="status">The answer.</param>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">Bytes.</param>
    public BlkifRequestException(BlkifOperation operation, BlkifStatus status, long offset, long length)
        : base($"{operation} of {length} bytes at byte {offset} was answered with {status}.")
    {
        Operation = operation;
        Status = status;
    }

    /// <summary>What was asked.</summary>
    public BlkifOperation Operation { get; }

    /// <summary>What was answered.</summary>
    public BlkifStatus Status { get; }
}
