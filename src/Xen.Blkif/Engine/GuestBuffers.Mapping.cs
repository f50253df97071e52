using System.Diagnostics;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Engine;

/// <content>Pages that the target works on in place: mapped for a request, or for as long as they are in use.</content>
internal sealed unsafe partial class GuestBuffers
{
    /// <summary>How long the queue may sleep before <see cref="Tidy"/> has something to do, in milliseconds; -1 for ever.</summary>
    public int MaxSleepMilliseconds
    {
        get
        {
            if (_persistent is not { Count: > 0 })
                return Timeout.Infinite;

            // Rounded up: who wakes a moment too early finds nothing to do.
            double milliseconds = Math.Ceiling(_persistent.TimeUntilUntidy(_clock()) * 1e3 / Stopwatch.Frequency);
            return milliseconds < int.MaxValue ? (int)milliseconds : Timeout.Infinite;
        }
    }

    /// <summary>Lets go of pages that nobody has used for long, and makes room where there was none. For idle moments.</summary>
    public void Tidy()
    {
        if (_persistent is { Count: > 0 })
            _persistent.Tidy(_clock());
    }

    private bool TryMap(RequestSlot* slot)
    {
        slot->Mapped = _pages.TryMap(slot->Segments, slot->SegmentCount, writable: slot->Kind == BlockRequestKind.Read);
        if (slot->Mapped == 0)
            return false;

        for (int i = 0; i < slot->SegmentCount; i++)
            AddPiece(slot, slot->Segments[i], slot->Mapped + (i * XenPage.Size));
        return true;
    }

    private bool TryHold(RequestSlot* slot, PersistentGrants persistent)
    {
        for (; slot->Held < slot->SegmentCount; slot->Held++)
        {
            BlkifSegment segment = slot->Segments[slot->Held];
            nint page = persistent.TryHold(segment.Reference);
            if (page == 0)
            {
                while (slot->Held > 0)
                    persistent.Release(slot->Segments[--slot->Held].Reference, slot->Started);
                slot->VectorCount = 0;
                return false;
            }

            AddPiece(slot, segment, page);
        }

        return true;
    }

    private static void AddPiece(RequestSlot* slot, BlkifSegment segment, nint page) =>
        slot->AddVector(page + (segment.FirstSector * BlkifLimits.SectorSize), LengthOf(segment));
}
