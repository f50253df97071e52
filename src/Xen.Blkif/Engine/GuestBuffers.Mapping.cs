using System.Diagnostics;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Engine;

/// <content>Pages that the target works on in place: mapped for a request, or for as long as they are in use.</content>
internal sealed unsafe partial class GuestBuffers
{
    /// <summary>How long the queue may sleep before <see cref="Tidy"/> has something to do, in milliseconds; -1 for ever.</summary>
    /// <param name="isIdle">Whether no request is under way.</param>
    public int MaxSleepMilliseconds(bool isIdle)
    {
        long now = _clock();
        long pages = _persistent?.TimeUntilUntidy(now) ?? long.MaxValue;
        long buffers = Math.Min(_indirect.TimeUntilUntidy(now), _large.TimeUntilUntidy(now));
        if (isIdle)
            buffers = Math.Min(buffers, _small.TimeUntilUntidy(now));

        // Rounded up: who wakes a moment too early finds nothing to do.
        double milliseconds = Math.Ceiling(Math.Min(pages, buffers) * 1e3 / Stopwatch.Frequency);
        return milliseconds < int.MaxValue ? (int)milliseconds : Timeout.Infinite;
    }

    /// <summary>Lets go of pages and gives back memory that nobody has used for long, and makes room where there was none. For idle moments.</summary>
    /// <param name="now">The time.</param>
    /// <param name="isIdle">Whether no request is under way.</param>
    public void Tidy(long now, bool isIdle)
    {
        _persistent?.Tidy(now);
        if (isIdle)
            _small.Tidy(now);
        _indirect.Tidy(now);
        _large.Tidy(now);
    }

    private bool TryMap(RequestSlot* slot)
    {
        slot->HasLoans = true;
        slot->Mapped = _pages.TryMap(slot->Segments, slot->SegmentCount, writable: slot->Kind == BlockRequestKind.Read);
        if (slot->Mapped == 0)
            return false;

        for (int i = 0; i < slot->SegmentCount; i++)
            AddPiece(slot, slot->Segments[i], slot->Mapped + (i * XenPage.Size));
        return true;
    }

    private bool TryHold(RequestSlot* slot, PersistentGrants persistent)
    {
        slot->HasLoans = true;
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
