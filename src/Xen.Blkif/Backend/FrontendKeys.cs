using System.Globalization;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Backend;

/// <summary>What a frontend says of its queues, read once and checked. Every value is one that a hostile guest may have chosen.</summary>
internal sealed class FrontendKeys : IEquatable<FrontendKeys>
{
    private FrontendKeys(BlkifProtocol protocol, QueueKeys[] queues)
    {
        Protocol = protocol;
        Queues = queues;
    }

    /// <summary>The layout that it speaks.</summary>
    public BlkifProtocol Protocol { get; }

    /// <summary>Its queues, at least one, all with rings of the same size.</summary>
    public IReadOnlyList<QueueKeys> Queues { get; }

    /// <summary>Whether it uses the same grants over and over, all of them writable. Says nothing of where its queues are.</summary>
    public bool IsPersistent { get; private init; }

    /// <summary>Reads the keys and the state together, as one state of the store.</summary>
    /// <returns><see langword="null"/> where the frontend does not say any more that it has a ring.</returns>
    /// <exception cref="FrontendException">A key is missing or makes no sense.</exception>
    /// <exception cref="HypervisorException">The store failed, or the guest writes to it all the time.</exception>
    public static FrontendKeys? Read(IXenStore store, DevicePaths paths, BackendOptions offered) => store.Transact(access =>
        XenbusStates.Parse(access.Read(paths.InFrontend("state"))) is XenbusState.Initialised or XenbusState.Connected
            ? Read(access, paths, offered.MaxRingPageOrder, offered.MaxQueues)
            : null);

    /// <summary>Reads the keys of queues that were connected to already, whatever the frontend's state is now.</summary>
    /// <exception cref="FrontendException">A key is missing or makes no sense.</exception>
    /// <exception cref="HypervisorException">The store failed, or the guest writes to it all the time.</exception>
    public static FrontendKeys ReadConnected(IXenStore store, DevicePaths paths) =>
        store.Transact(access => Read(access, paths, Rings.RingSize.MaxPageOrder, BackendOptions.MostQueues));

    public bool Equals(FrontendKeys? other) =>
        other is not null && Protocol == other.Protocol && Queues.SequenceEqual(other.Queues);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as FrontendKeys);

    /// <inheritdoc/>
    public override int GetHashCode() => (int)Queues[0].EventChannel;

    private static FrontendKeys Read(IXenStoreAccess store, DevicePaths paths, int maxRingPageOrder, int maxQueues)
    {
        string? name = store.Read(paths.InFrontend("protocol"));
        if (!BlkifProtocols.TryParse(name, out BlkifProtocol protocol))
            throw new FrontendException($"the frontend speaks '{FrontendNumber.Shorten(name)}', which is not x86_64-abi, x86_32-abi or arm-abi");

        // One order for all queues. Linux numbers the pages in each queue's folder, and says how many they are outside of it.
        uint? order = ReadOrder(store, paths);
        if (order > (uint)maxRingPageOrder)
            throw new FrontendException($"the frontend's ring-page-order is {order}, more than the {maxRingPageOrder} it was offered");

        var queues = new QueueKeys[ReadQueueCount(store, paths, maxQueues)];
        for (int i = 0; i < queues.Length; i++)
            queues[i] = QueueKeys.Read(store, paths, queues.Length == 1 ? "" : string.Format(CultureInfo.InvariantCulture, "queue-{0}/", i), (int?)order);
        return new FrontendKeys(protocol, queues) { IsPersistent = store.Read(paths.InFrontend("feature-persistent")) is "1" };
    }

    private static int ReadQueueCount(IXenStoreAccess store, DevicePaths paths, int maxQueues)
    {
        const string Key = "multi-queue-num-queues";
        if (store.Read(paths.InFrontend(Key)) is not { } text)
            return 1;

        uint count = FrontendNumber.Parse(Key, text);
        if (count == 0)
            throw new FrontendException($"the frontend's {Key} is 0");
        if (count > (uint)maxQueues)
            throw new FrontendException($"the frontend's {Key} is {count}, more than the {maxQueues} it was offered");
        return (int)count;
    }

    // num-ring-pages is the older name for the same, in pages; max-ring-pages offers it.
    private static uint? ReadOrder(IXenStoreAccess store, DevicePaths paths)
    {
        if (store.Read(paths.InFrontend("ring-page-order")) is { } text)
            return FrontendNumber.Parse("ring-page-order", text);
        if (store.Read(paths.InFrontend("num-ring-pages")) is not { } pagesText)
            return null;

        uint pages = FrontendNumber.Parse("num-ring-pages", pagesText);
        for (int order = 0; order < 32; order++)
        {
            if (pages == 1u << order)
                return (uint)order;
        }

        throw new FrontendException($"the frontend's num-ring-pages is {pages}, which is not a power of two");
    }
}

/// <summary>The frontend did what no honest frontend does. The message says what, as the end of a sentence.</summary>
internal sealed class FrontendException(string message) : Exception(message);
