using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xen.Blkif.Rings;

namespace Xen.Blkif.Backend;

/// <summary>How a device is served.</summary>
public sealed record BackendOptions
{
    /// <summary>The folder of the backend's half in xenstore. Not <c>vbd</c> where the kernel's own backend is loaded.</summary>
    public string BackendType { get; init; } = "blkif";

    /// <summary>The binary logarithm of the most ring pages that a frontend is offered, 0 to 4.</summary>
    public int MaxRingPageOrder { get; init; } = RingSize.MaxPageOrder;

    /// <summary>Requests under way at once, at most; 0 for as many as the ring has slots.</summary>
    public int MaxRequests { get; init; }

    /// <summary>Whether the guest is offered discards, where the target can do them.</summary>
    public bool AllowsDiscard { get; init; } = true;

    /// <summary>Whether the guest is to see a CD-ROM drive. Its target is read-only then, or should be.</summary>
    public bool IsCdrom { get; init; }

    /// <summary>How long a frontend gets to let go of its disk when the device is disposed.</summary>
    public TimeSpan DetachTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Makes the loggers.</summary>
    public ILoggerFactory LoggerFactory { get; init; } = NullLoggerFactory.Instance;
}
