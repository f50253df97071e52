using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Memory;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Engine;

/// <summary>What an engine works with. Everything here belongs to the caller and outlives the engine.</summary>
public sealed record EngineSettings
{
    // Twice those of Linux's backend, which has as many as all requests of a ring of one page with 32 pages and one for their segments: here
    // guests may ask for 256 pages at once, and eight such requests have room.
    internal const int DefaultMaxPersistentGrants = 2112;
    internal static readonly TimeSpan DefaultPersistentGrantTimeout = TimeSpan.FromSeconds(60);

    // More than a sleep and what the guest does meanwhile take on an emulated machine. Where they take less, a queue learns to look for less. No
    // more than that: of a guest whose pauses are now short, now long, the long ones count as what a sleep costs.
    internal static readonly TimeSpan DefaultMaxPollTime = TimeSpan.FromMilliseconds(4);

    /// <summary>The layout that the frontend speaks.</summary>
    public required BlkifProtocol Protocol { get; init; }

    /// <summary>The address of the ring's first page, mapped writable.</summary>
    public required nint RingAddress { get; init; }

    /// <summary>Bytes of the ring: 4096 shifted by the page order, 0 to 4.</summary>
    public required int RingLength { get; init; }

    /// <summary>The guest.</summary>
    public required DomainId Domain { get; init; }

    /// <summary>The way to the guest's pages.</summary>
    public required IGrantTable Grants { get; init; }

    /// <summary>The event channel of the ring.</summary>
    public required IEventChannel Channel { get; init; }

    /// <summary>The disk.</summary>
    public required IBlockTarget Target { get; init; }

    /// <summary>What the disk allows.</summary>
    public required RequestLimits Limits { get; init; }

    /// <summary>Requests under way at once, at most; 0 for as many as the ring has slots.</summary>
    public int MaxRequests { get; init; }

    /// <summary>
    /// Indirect requests under way at once, at most; 0 for as many as there may be requests. While the most are under way, the next one waits in
    /// the ring, and so does what is behind it. It also waits where the data of all that are copied would be more than 2 MiB.
    /// </summary>
    public int MaxIndirectRequests { get; init; }

    /// <summary>Pages of memory for the data of requests that the queue keeps when nobody has needed them for a second or two.</summary>
    public int MaxBufferPages { get; init; }

    /// <summary>What memory for the data of indirect requests and pages that stay mapped are taken from.</summary>
    public MemoryBudget MemoryBudget { get; init; } = MemoryBudget.Shared;

    /// <summary>How the data of requests gets to the target and back.</summary>
    public GuestMemoryAccess GuestMemory { get; init; }

    /// <summary>With persistent grants, the pages that stay mapped for this queue, at most; the data of requests with others is copied.</summary>
    public int MaxPersistentGrants { get; init; } = DefaultMaxPersistentGrants;

    /// <summary>With persistent grants, how long a page stays mapped that no request uses; or infinite.</summary>
    public TimeSpan PersistentGrantTimeout { get; init; } = DefaultPersistentGrantTimeout;

    /// <summary>How long the owner's thread may look for work before it sleeps, at most; zero for not at all.</summary>
    public TimeSpan MaxPollTime { get; init; } = DefaultMaxPollTime;

    /// <summary>
    /// What becomes of a flush that fails. By default the guest is told: an engine that has no backend around it has nobody to close it.
    /// </summary>
    public FlushFailurePolicy FlushFailure { get; init; } = FlushFailurePolicy.Report;

    /// <summary>What to call the device in logs.</summary>
    public string DeviceName { get; init; } = "vbd";

    /// <summary>Hears of refused requests, at a bounded rate.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;

    /// <summary>What the engines of one device have in common for barriers; null where there is one, or none are offered.</summary>
    internal BarrierGate? Barriers { get; init; }

    /// <summary>What says it, where several engines of one device share a budget of lines.</summary>
    internal EngineLog? Log { get; init; }

    /// <summary>
    /// Whether the owner waits in <see cref="RequestEngine.Waitable"/> where there is one, that is, where the target and the event channel can be
    /// waited for together.
    /// </summary>
    internal bool WaitsInTarget { get; init; }

    /// <summary>The time, in the unit of <see cref="Stopwatch"/>.</summary>
    internal Func<long> Clock { get; init; } = () => MonotonicClock.Now(); // a lambda is cheaper to call than a static method

    /// <summary><see cref="PersistentGrantTimeout"/> in the unit of <see cref="Clock"/>.</summary>
    internal long PersistentGrantTicks =>
        PersistentGrantTimeout == Timeout.InfiniteTimeSpan ? long.MaxValue : (long)(PersistentGrantTimeout.TotalSeconds * Stopwatch.Frequency);

    /// <summary><see cref="MaxPollTime"/> in the unit of <see cref="Clock"/>. With one processor, who has work is kept from it by who looks for it.</summary>
    internal long MaxPollTicks => Environment.ProcessorCount == 1 ? 0 : (long)(MaxPollTime.TotalSeconds * Stopwatch.Frequency);

    /// <summary>Makes memory for so many bytes of data, or throws an <see cref="OutOfMemoryException"/>.</summary>
    internal Func<long, NativeBuffer> MakeBuffer { get; init; } = length => new NativeBuffer(length);

    /// <summary>Where the engine notes what it owes the guest, and finds what its predecessor did; null where it need not outlive the process.</summary>
    internal RingJournal? Journal { get; init; }
}
