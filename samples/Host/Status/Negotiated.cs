using System.Globalization;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Rings;

namespace Xen.Blkif.Samples.Host.Status;

/// <summary>What a frontend chose of what it was offered, as it says itself: a guest may write anything there.</summary>
/// <param name="Protocol">The layout of requests.</param>
/// <param name="RingPages">Pages of its ring; null where there is no ring, or no such ring.</param>
internal readonly record struct Negotiated(string? Protocol, int? RingPages)
{
    public static Negotiated Read(IXenStoreAccess store, string backend)
    {
        if (store.Read($"{backend}/frontend") is not { Length: > 0 } frontend || store.Read($"{frontend}/event-channel") is null)
            return default;

        string order = store.Read($"{frontend}/ring-page-order") ?? "0";
        bool isOrder = int.TryParse(order, NumberStyles.None, CultureInfo.InvariantCulture, out int power) && power <= RingSize.MaxPageOrder;
        return new Negotiated(store.Read($"{frontend}/protocol"), isOrder ? 1 << power : null);
    }
}
