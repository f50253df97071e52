using System.Globalization;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Backend;

/// <summary>What a frontend says of its ring, read once and checked. Every value is one that a hostile guest may have chosen.</summary>
internal sealed class FrontendKeys : IEquatable<FrontendKeys>
{
    private FrontendKeys(BlkifProtocol protocol, GrantReference[] ring, uint eventChannel)
    {
        Protocol = protocol;
        Ring = ring;
        EventChannel = eventChannel;
    }

    /// <summary>The layout that it speaks.</summary>
    public BlkifProtocol Protocol { get; }

    /// <summary>The pages of its ring, in order: 1, 2, 4, 8 or 16.</summary>
    public GrantReference[] Ring { get; }

    /// <summary>The port that it allocated.</summary>
    public uint EventChannel { get; }

    /// <summary>Whether it uses the same grants over and over, all of them writable. Says nothing of where the ring is.</summary>
    public bool IsPersistent { get; private init; }

    /// <summary>Reads the keys and the state together, as one state of the store.</summary>
    /// <returns><see langword="null"/> where the frontend does not say any more that it has a ring.</returns>
    /// <exception cref="FrontendException">A key is missing or makes no sense.</exception>
    /// <exception cref="HypervisorException">The store failed, or the guest writes to it all the time.</exception>
    public static FrontendKeys? Read(IXenStore store, DevicePaths paths, int maxRingPageOrder) => store.Transact(access =>
        XenbusStates.Parse(access.Read(paths.InFrontend("state"))) is XenbusState.Initialised or XenbusState.Connected
            ? Read(access, paths, maxRingPageOrder)
            : null);

    /// <summary>Reads the keys of a ring that was connected to already, whatever the frontend's state is now.</summary>
    /// <exception cref="FrontendException">A key is missing or makes no sense.</exception>
    /// <exception cref="HypervisorException">The store failed, or the guest writes to it all the time.</exception>
    public static FrontendKeys ReadConnected(IXenStore store, DevicePaths paths) =>
        store.Transact(access => Read(access, paths, Rings.RingSize.MaxPageOrder));

    public bool Equals(FrontendKeys? other) =>
        other is not null && Protocol == other.Protocol && EventChannel == other.EventChannel && Ring.AsSpan().SequenceEqual(other.Ring);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as FrontendKeys);

    /// <inheritdoc/>
    public override int GetHashCode() => (int)EventChannel;

    private static FrontendKeys Read(IXenStoreAccess store, DevicePaths paths, int maxRingPageOrder)
    {
        string? name = store.Read(paths.InFrontend("protocol"));
        if (!BlkifProtocols.TryParse(name, out BlkifProtocol protocol))
            throw new FrontendException($"the frontend speaks '{Shorten(name)}', which is not x86_64-abi, x86_32-abi or arm-abi");

        return new FrontendKeys(protocol, ReadRing(store, paths, maxRingPageOrder), NumberAt(store, paths, "event-channel"))
        {
            IsPersistent = store.Read(paths.InFrontend("feature-persistent")) is "1",
        };
    }

    private static GrantReference[] ReadRing(IXenStoreAccess store, DevicePaths paths, int maxRingPageOrder)
    {
        // Without an order, a ring-ref0 may be a leftover of an earlier driver.
        uint? order = ReadOrder(store, paths);
        if (order is null)
            return [new GrantReference(NumberAt(store, paths, "ring-ref"))];
        if (order > (uint)maxRingPageOrder)
            throw new FrontendException($"the frontend's ring-page-order is {order}, more than the {maxRingPageOrder} it was offered");

        // Some that have one page say so and still do not number it, which Linux's backend takes too.
        if (order == 0 && store.Read(paths.InFrontend("ring-ref0")) is null)
            return [new GrantReference(NumberAt(store, paths, "ring-ref"))];

        var ring = new GrantReference[1 << (int)order];
        for (int i = 0; i < ring.Length; i++)
            ring[i] = new GrantReference(NumberAt(store, paths, string.Format(CultureInfo.InvariantCulture, "ring-ref{0}", i)));
        return ring;
    }

    // num-ring-pages is the older name for the same, in pages; max-ring-pages offers it.
    private static uint? ReadOrder(IXenStoreAccess store, DevicePaths paths)
    {
        if (store.Read(paths.InFrontend("ring-page-order")) is { } text)
            return Number("ring-page-order", text);
        if (store.Read(paths.InFrontend("num-ring-pages")) is not { } pagesText)
            return null;

        uint pages = Number("num-ring-pages", pagesText);
        for (int order = 0; order < 32; order++)
        {
            if (pages == 1u << order)
                return (uint)order;
        }

        throw new FrontendException($"the frontend's num-ring-pages is {pages}, which is not a power of two");
    }

    private static uint NumberAt(IXenStoreAccess store, DevicePaths paths, string key) => Number(key, store.Read(paths.InFrontend(key)));

    // Decimal digits and nothing else: no sign, no space, no hexadecimal.
    private static uint Number(string key, string? text)
    {
        if (text is null)
            throw new FrontendException($"the frontend wrote no {key}");
        if (!uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint number))
            throw new FrontendException($"the frontend's {key} is '{Shorten(text)}', which is not a number from 0 to 4294967295");
        return number;
    }

    // The guest chose the text: the log gets little of it, and nothing that is not printable.
    private static string Shorten(string? text)
    {
        const int Longest = 40;
        text ??= "";
        char[] shown = text.Take(Longest).Select(c => c is >= ' ' and < '\x7f' ? c : '?').ToArray();
        return new string(shown) + (text.Length > Longest ? "…" : "");
    }
}

/// <summary>The frontend did what no honest frontend does. The message says what, as the end of a sentence.</summary>
internal sealed class FrontendException(string message) : Exception(message);
