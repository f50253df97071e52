using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Testing;

/// <summary>A frontend's queue and the engine that serves it, wired to each other without xenstore and without a thread: nothing runs but by a call.</summary>
/// <remarks>For tests that must be the same every time, and for benchmarks. Used by one thread.</remarks>
public sealed class QueuePair : IDisposable
{
    private readonly IGrantMapping _ring;
    private readonly IEventChannel _channel;

    /// <summary>Connects a target to a guest of its own.</summary>
    /// <param name="target">The target. Outlives the pair.</param>
    /// <param name="options">What the frontend asks for, and is offered; <see langword="null"/> for the defaults.</param>
    /// <param name="maxRequests">Requests under way at once in the engine; 0 for as many as the ring has slots.</param>
    /// <param name="logger">Hears what the engine says.</param>
    /// <param name="grants">Makes what the engine uses as grant table of the simulated one, to look on or to interfere.</param>
    /// <param name="maxIndirectRequests">Indirect requests under way at once in the engine; 0 for as many as requests.</param>
    /// <param name="configure">Changes what the engine works with in any other way.</param>
    public QueuePair(
        IBlockTarget target,
        FrontendOptions? options = null,
        int maxRequests = 0,
        ILogger? logger = null,
        Func<IGrantTable, IGrantTable>? grants = null,
        int maxIndirectRequests = 0,
        Func<EngineSettings, EngineSettings>? configure = null)
    {
        options ??= new FrontendOptions();
        Xen = new SimulatedXen();
        Guest = Xen.CreateGuest(1, FrontendQueue.PagesOf(options));
        Frontend = FrontendQueue.Create(Guest, Xen.Domain, options);
        _ring = Xen.Grants.Map(Guest.Id, Frontend.RingReferences.ToArray(), writable: true);
        _channel = ((IEventChannels)Xen.Events).Bind(Guest.Id, Frontend.Channel.Port);
        var settings = new EngineSettings
        {
            Protocol = options.Protocol,
            RingAddress = _ring.Address,
            RingLength = _ring.Length,
            Domain = Guest.Id,
            Grants = grants is null ? Xen.Grants : grants(Xen.Grants),
            Channel = _channel,
            Target = target,
            Limits = target.Info.ToRequestLimits(options.MaxIndirectSegments),
            MaxRequests = maxRequests,
            MaxIndirectRequests = maxIndirectRequests,

            // What others do in the process changes nothing here.
            MemoryBudget = new MemoryBudget(long.MaxValue),
            Logger = logger ?? NullLogger.Instance,
        };
        Engine = RequestEngine.Create(configure is null ? settings : configure(settings));
    }

    /// <summary>The Xen that both live in.</summary>
    public SimulatedXen Xen { get; }

    /// <summary>The guest.</summary>
    public SimulatedGuest Guest { get; }

    /// <summary>The frontend's end.</summary>
    public FrontendQueue Frontend { get; }

    /// <summary>The backend's end.</summary>
    public RequestEngine Engine { get; }

    /// <summary>Shows the engine what the frontend has put, and runs it until there is nothing to do at the moment.</summary>
    public void Run()
    {
        Frontend.Push();
        while (Engine.RunPass())
        {
            // Each pass may leave something for the next.
        }
    }

    /// <summary>Runs until the frontend has a response, also where a target completes on other threads.</summary>
    /// <param name="millisecondsTimeout">How long to wait for such a target at a time.</param>
    /// <returns>The response.</returns>
    /// <exception cref="TimeoutException">None came.</exception>
    public FrontendCompletion RunForResponse(int millisecondsTimeout = 10_000)
    {
        Frontend.Push();
        FrontendCompletion completion;
        while (!Frontend.TryTake(out completion))
        {
            if (Engine.RunPass() || !Engine.PrepareToSleep())
                continue;

            // The engine may want to look again by itself, and sooner.
            bool wakesItself = (uint)Engine.MaxSleepMilliseconds < (uint)millisecondsTimeout;
            if (!_channel.Wait(wakesItself ? Engine.MaxSleepMilliseconds : millisecondsTimeout) && !wakesItself)
                throw new TimeoutException($"No response came for {millisecondsTimeout} ms.");
        }

        return completion;
    }

    /// <summary>Takes the pair apart. Nothing may be under way.</summary>
    public void Dispose()
    {
        Engine.Dispose();
        _channel.Dispose();
        _ring.Dispose();
        Frontend.Dispose();
        Xen.Dispose();
    }
}
