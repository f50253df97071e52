using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xen.Blkif.Engine;
using Xen.Blkif.Protocol;
using Xen.Blkif.Rings;

namespace Xen.Blkif.Backend;

/// <summary>How a device is served.</summary>
public sealed record BackendOptions
{
    /// <summary>The most queues that any device can have.</summary>
    internal const int MostQueues = 16;

    private const int PersistentGrantsCeiling = 1 << 20;
    private static readonly TimeSpan LongestTimeout = TimeSpan.FromDays(1);
    private static readonly TimeSpan LongestPollTime = TimeSpan.FromSeconds(1);

    /// <summary>The folder of the backend's half in xenstore. Not <c>vbd</c> where the kernel's own backend is loaded.</summary>
    /// <exception cref="ArgumentException">It has other characters than small letters, digits, - and _, or none.</exception>
    public string BackendType
    {
        get;
        init => field = value.Length > 0 && value.All(c => c is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '-' or '_')
            ? value
            : throw new ArgumentException($"'{value}' is no backend type: it consists of small letters, digits, - and _.", nameof(value));
    } = "blkif";

    /// <summary>The binary logarithm of the most ring pages that a frontend is offered, 0 to 4.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is none of these.</exception>
    public int MaxRingPageOrder
    {
        get;
        init => field = (uint)value <= RingSize.MaxPageOrder
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "The largest ring page order is from 0 to 4.");
    } = RingSize.MaxPageOrder;

    /// <summary>
    /// The most queues that a frontend is offered, 1 to 16. Each that it makes has a ring, a thread and a queue of the target of its own.
    /// Unless set, as many as there are processors, up to 4.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is none of these.</exception>
    public int MaxQueues
    {
        get;
        init => field = value is >= 1 and <= MostQueues
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "The largest number of queues is from 1 to 16.");
    } = Math.Min(Environment.ProcessorCount, 4);

    /// <summary>Requests under way at once in a queue, at most; 0 for as many as its ring has slots.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative.</exception>
    public int MaxRequests
    {
        get;
        init => field = value >= 0
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "Requests under way are at most a positive number, or 0.");
    }

    /// <summary>
    /// The most segments of 4 KiB that a guest is offered for one request, 0 to <see cref="RequestLimits.IndirectSegmentsCeiling"/>. With 0,
    /// and for Linux with fewer than 12, a request has up to 11, as the ring has room for.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is none of these.</exception>
    public int MaxIndirectSegments
    {
        get;
        init => field = value is >= 0 and <= RequestLimits.IndirectSegmentsCeiling ? value : throw new ArgumentOutOfRangeException(
            nameof(value), value, $"An indirect request has at most {RequestLimits.IndirectSegmentsCeiling} segments.");
    } = RequestLimits.IndirectSegmentsCeiling;

    /// <summary>
    /// Requests of more than 11 segments under way at once in a queue, at most; 0 for as many as there may be requests. While the most
    /// are under way, the guest's next one waits in the ring, and so does what is behind it, of whatever size. Those whose data is copied, of guests
    /// without persistent grants or with more pages than <see cref="MaxPersistentGrants"/>, have 2 MiB of memory together in each queue, as they need
    /// it: 16 requests of 128 KiB are under way at once, or two of 1 MiB.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative.</exception>
    public int MaxIndirectRequests
    {
        get;
        init => field = value >= 0
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "Large requests under way are at most a positive number, or 0.");
    } = 16;

    /// <summary>
    /// Pages of memory for the data of requests that each queue keeps when nobody has needed them for a second or two, from 0. The name is that of
    /// Linux's backend; that one keeps 1024, and gives the others back at once.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative.</exception>
    public int MaxBufferPages
    {
        get;
        init => field = value >= 0
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "The pages that are kept are a positive number, or 0.");
    }

    /// <summary>
    /// What the queues of this device, and of all that are given the same budget, take together for the data of requests of more than 11
    /// segments and for pages that stay mapped.
    /// </summary>
    public MemoryBudget MemoryBudget { get; init; } = MemoryBudget.Shared;

    /// <summary>
    /// How the data of requests gets to the target and back: copied by the hypervisor unless set. With
    /// <see cref="GuestMemoryAccess.Persistent"/>, guests are offered persistent grants; with one that does not use them, data is copied.
    /// </summary>
    /// <remarks>
    /// Persistent grants do not spare the copy: the guest's driver makes it, between the pages that it shares and those that it is asked to
    /// transfer. What they spare are calls of the hypervisor, and what they cost is a mapping of its own for every page.
    /// </remarks>
    /// <exception cref="ArgumentOutOfRangeException">It is none of the three.</exception>
    public GuestMemoryAccess GuestMemory
    {
        get;
        init => field = value is GuestMemoryAccess.Copy or GuestMemoryAccess.Map or GuestMemoryAccess.Persistent
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "Guest memory is copied, mapped, or mapped persistently.");
    } = GuestMemoryAccess.Copy;

    /// <summary>
    /// With persistent grants, the pages of a guest that stay mapped for each of its queues, 0 to 1,048,576. The data of requests with others
    /// is copied. Each page is a mapping of the process, of which Linux allows it 65,530 in all (<c>vm.max_map_count</c>).
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is none of these.</exception>
    public int MaxPersistentGrants
    {
        get;
        init => field = value is >= 0 and <= PersistentGrantsCeiling
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "The pages that stay mapped are from 0 to 1048576.");
    } = EngineSettings.DefaultMaxPersistentGrants;

    /// <summary>With persistent grants, how long a page stays mapped that no request uses: up to a day, or infinite.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not positive, or longer.</exception>
    public TimeSpan PersistentGrantTimeout
    {
        get;
        init => field = value == Timeout.InfiniteTimeSpan || (value > TimeSpan.Zero && value <= LongestTimeout)
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "A page that no request uses stays mapped for up to a day, or for ever.");
    } = EngineSettings.DefaultPersistentGrantTimeout;

    /// <summary>
    /// How long each queue's thread looks for work before it sleeps, at most, up to a second; zero for not at all. A thread learns for how long
    /// that saves more than it costs, which is tens of microseconds as a rule, and does not look while its guest has nothing for it. 4 ms
    /// unless set. QEMU calls it <c>poll-max-ns</c>.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative or longer.</exception>
    public TimeSpan MaxPollTime
    {
        get;
        init => field = value >= TimeSpan.Zero && value <= LongestPollTime
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "A queue looks for work for up to a second before it sleeps.");
    } = EngineSettings.DefaultMaxPollTime;

    /// <summary>Whether the guest is offered discards, where the target can do them and the toolstack's <c>discard-enable</c> is not 0.</summary>
    public bool AllowsDiscard { get; init; } = true;

    /// <summary>
    /// Whether the guest is offered writes with a barrier, where the target can flush. Linux flushes instead, where it is offered both; small
    /// systems such as mini-os ask for both.
    /// </summary>
    public bool OffersBarriers { get; init; }

    /// <summary>What becomes of a flush that the storage fails.</summary>
    public FlushFailurePolicy FlushFailure { get; init; } = new();

    /// <summary>Whether the guest is to see a CD-ROM drive, also where the toolstack does not say so. Its target is read-only then, or should be.</summary>
    public bool IsCdrom { get; init; }

    /// <summary>
    /// A folder that exists, in memory at best (<c>/run</c>), where no one but this user may write: there each device has a small file, which
    /// lets a process go on with a ring whose process was killed, without the guest's noticing. <see langword="null"/> for none: what a guest
    /// has asked for is lost then with the process.
    /// </summary>
    public string? StateFolder { get; init; }

    /// <summary>Whether the guest is to see a drive with a medium that can be taken out, as a CD-ROM drive is, also where the toolstack does not say so.</summary>
    public bool IsRemovable { get; init; }

    /// <summary>How long a frontend gets to let go of its disk when the device is disposed: up to a day, or infinite.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative, or longer.</exception>
    public TimeSpan DetachTimeout
    {
        get;
        init => field = value == Timeout.InfiniteTimeSpan || (value >= TimeSpan.Zero && value <= LongestTimeout)
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "A detach timeout is from zero to a day, or infinite.");
    } = TimeSpan.FromSeconds(10);

    /// <summary>Makes the loggers.</summary>
    public ILoggerFactory LoggerFactory { get; init; } = NullLoggerFactory.Instance;
}
