using System.Globalization;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Backend;

/// <summary>Turns what a target can do into the keys by which a frontend learns of it.</summary>
/// <remarks>
/// All of them are written before InitWait: frontends differ in when they read, and that is earlier than any of them does.
/// Source: Xen's <c>public/io/blkif.h</c>, "Backend XenBus Nodes".
/// </remarks>
internal static class FeaturePublisher
{
    // VDISK_CDROM, VDISK_REMOVABLE and VDISK_READONLY.
    private const int CdromInfo = 1, RemovableInfo = 2, ReadOnlyInfo = 4;

    // What another backend, or this one for another target, may have offered here before.
    private static readonly string[] Optional =
    [
        "feature-discard", "discard-granularity", "discard-alignment", "discard-secure", "feature-max-indirect-segments",
    ];

    public static void Write(IXenStoreAccess store, DevicePaths paths, BlockTargetInfo info, ToolstackTerms terms, BackendOptions options)
    {
        foreach (string key in Optional)
            store.Remove(paths.InBackend(key));

        Put("max-ring-page-order", options.MaxRingPageOrder);
        Put("max-ring-pages", 1 << options.MaxRingPageOrder);
        Put("multi-queue-max-queues", options.MaxQueues);
        Put("feature-flush-cache", info.Flush == Capability.None ? 0 : 1);
        Put("feature-barrier", options.OffersBarriers && info.Flush != Capability.None ? 1 : 0);
        Put("feature-persistent", options.GuestMemory == GuestMemoryAccess.Persistent ? 1 : 0);
        if (options.MaxIndirectSegments > 0)
            Put("feature-max-indirect-segments", options.MaxIndirectSegments);
        if (info.Discard != Capability.None && !info.ReadOnly)
        {
            Put("feature-discard", 1);
            Put("discard-granularity", info.DiscardGranularity);
            Put("discard-alignment", info.DiscardAlignment);
            Put("discard-secure", info.ErasesSecurely ? 1 : 0);
        }

        WriteSectors(store, paths, info.Length / BlkifLimits.SectorSize);
        Put("sector-size", info.LogicalSectorSize);
        Put("physical-sector-size", info.PhysicalSectorSize);
        Put("info", (terms.IsCdrom ? CdromInfo : 0) | (terms.IsRemovable ? RemovableInfo : 0) | (info.ReadOnly ? ReadOnlyInfo : 0));

        void Put(string key, long value) => store.Write(paths.InBackend(key), value.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>Writes the size, in units of 512 bytes whatever the sector size: the header says so since 2024, and Linux always has.</summary>
    public static void WriteSectors(IXenStoreAccess store, DevicePaths paths, long sectors) =>
        store.Write(paths.InBackend("sectors"), sectors.ToString(CultureInfo.InvariantCulture));
}
