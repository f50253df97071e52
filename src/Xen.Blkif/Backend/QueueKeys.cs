using System.Globalization;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Backend;

/// <summary>Where a frontend says that one of its queues is.</summary>
internal sealed class QueueKeys : IEquatable<QueueKeys>
{
    private QueueKeys(GrantReference[] ring, uint eventChannel)
    {
        Ring = ring;
        EventChannel = eventChannel;
    }

    /// <summary>The pages of its ring, in order: 1, 2, 4, 8 or 16.</summary>
    public GrantReference[] Ring { get; }

    /// <summary>The port that was allocated for it.</summary>
    public uint EventChannel { get; }

    /// <summary>Reads the keys of a queue.</summary>
    /// <param name="store">The store.</param>
    /// <param name="paths">The device.</param>
    /// <param name="folder">The queue's folder in the frontend's half, with a stroke at its end; empty for the only queue.</param>
    /// <param name="order">The binary logarithm of the ring's pages, 0 to 4; null where the frontend does not say.</param>
    /// <exception cref="FrontendException">A key is missing or makes no sense.</exception>
    public static QueueKeys Read(IXenStoreAccess store, DevicePaths paths, string folder, int? order) =>
        new(ReadRing(store, paths, folder, order), NumberAt(store, paths, folder + "event-channel"));

    public bool Equals(QueueKeys? other) => other is not null && EventChannel == other.EventChannel && Ring.AsSpan().SequenceEqual(other.Ring);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as QueueKeys);

    /// <inheritdoc/>
    public override int GetHashCode() => (int)EventChannel;

    private static GrantReference[] ReadRing(IXenStoreAccess store, DevicePaths paths, string folder, int? order)
    {
        // Without an order, a ring-ref0 may be a leftover of an earlier driver. And some that have one page say so and still do not number it,
        // which Linux's backend takes too.
        if (order is null || (order == 0 && store.Read(paths.InFrontend(folder + "ring-ref0")) is null))
            return [new GrantReference(NumberAt(store, paths, folder + "ring-ref"))];

        var ring = new GrantReference[1 << order.Value];
        for (int i = 0; i < ring.Length; i++)
            ring[i] = new GrantReference(NumberAt(store, paths, string.Format(CultureInfo.InvariantCulture, "{0}ring-ref{1}", folder, i)));
        return ring;
    }

    private static uint NumberAt(IXenStoreAccess store, DevicePaths paths, string key) => FrontendNumber.Parse(key, store.Read(paths.InFrontend(key)));
}
