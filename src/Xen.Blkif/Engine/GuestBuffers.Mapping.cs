using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Engine;

/// <content>Pages that the target works on in place: mapped for a request, or for as long as they are in use.</content>
internal sealed unsafe partial class GuestBuffers
{
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
