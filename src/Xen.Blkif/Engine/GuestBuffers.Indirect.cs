using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Engine;

/// <content>What indirect requests rent: room for what they name, and, where their data is copied, pieces of memory for it.</content>
internal sealed unsafe partial class GuestBuffers
{
    // A page of segments, one of vectors.
    private const int IndirectVectors = XenPage.Size;
    private const int IndirectLength = 2 * XenPage.Size;

    // As much as Linux asks for at once unless told otherwise. Each piece has the data of so many segments, the last one of the rest: a segment
    // is a page at most, so that they fit, and none lies across two pieces.
    private const int PiecePages = 32;
    private const int PieceLength = PiecePages * XenPage.Size;

    // 2 MiB: 16 requests of 128 KiB, or two of 1 MiB. With what the slots of a ring of one page may fill of their own (1.4 MiB) and what an
    // engine has besides, a queue stays below 4 MiB, whatever its guest does.
    private const int MostPieces = 16;

    private readonly BufferPool _indirect;
    private readonly BufferPool _pieces;

    /// <summary>Whether there is room for one more indirect request, and for its data, should that have to be copied.</summary>
    /// <param name="segments">Segments that it has.</param>
    /// <remarks>
    /// Where there is none, another such request of this queue has it: it is under way, or <see cref="EndPromises"/> gives back what was kept for
    /// it. So nobody has to be told by another queue when there is room again.
    /// </remarks>
    public bool HasRoomFor(int segments) => _indirect.HasRoomFor(1) && _pieces.HasRoomFor(PiecesFor(segments));

    /// <summary>
    /// Gives a slot room for an indirect request, whose segments come out of the guest now or with the next <see cref="Copy"/>, and keeps room
    /// for its data until <see cref="EndPromises"/>. Where there is no memory for it, the request has failed.
    /// </summary>
    /// <param name="slot">The slot; its number of segments is known.</param>
    /// <param name="page">The guest's page that holds them.</param>
    // Only so many bytes as there are segments, and only once: what the guest does to the page afterwards changes nothing.
    public void GatherSegments(RequestSlot* slot, GrantReference page)
    {
        slot->HasLoans = true;
        slot->Vectors = null;
        slot->Rented = _indirect.TryRent();
        if (slot->Rented == null)
        {
            FailForMemory(slot);
            return;
        }

        _pieces.Promise(PiecesFor(slot->SegmentCount));
        slot->Segments = (BlkifSegment*)slot->Rented;
        int length = slot->SegmentCount * sizeof(BlkifSegment);
        nint mapped = _persistent?.TryHold(page) ?? 0;
        if (mapped == 0)
        {
            *_batch.Add(slot, 1) = GrantCopySegment.OutOfGuest((nint)slot->Rented, _domain, page, 0, length);
            return;
        }

        Buffer.MemoryCopy((void*)mapped, slot->Rented, XenPage.Size, length);
        _persistent!.Release(page, slot->Started);
    }

    /// <summary>To be called when every request whose segments were gathered is attached or has failed.</summary>
    /// <returns>Whether room was kept for one that did not need it, for its pages are mapped, or it has failed.</returns>
    public bool EndPromises() => _pieces.EndPromises();

    // Mapped for each request, no data is ever copied.
    private int PiecesFor(int segments) => _access == GuestMemoryAccess.Map ? 0 : (segments + PiecePages - 1) / PiecePages;

    private void GivePieces(RequestSlot* slot)
    {
        nint left = (nint)slot->Length;
        for (int first = 0; first < slot->SegmentCount; first += PiecePages)
        {
            byte* piece = _pieces.TryRent();
            if (piece == null)
            {
                FailForMemory(slot);
                return;
            }

            // The last one, which most requests have alone, has what is left.
            int next = first + PiecePages;
            nint length = next < slot->SegmentCount ? LengthOf(slot->Segments + first, slot->Segments + next) : left;
            left -= length;
            slot->Vectors[slot->Pieces++] = new IoVector((nint)piece, length);
        }

        slot->VectorCount = slot->Pieces;
        slot->IsCopied = true;
    }

    private static nint LengthOf(BlkifSegment* segment, BlkifSegment* end)
    {
        nint length = 0;
        for (; segment < end; segment++)
            length += LengthOf(*segment);
        return length;
    }

    private void FailForMemory(RequestSlot* slot)
    {
        slot->Status = BlkifStatus.Error;
        _log.OutOfMemory(slot->SegmentCount);
    }
}
