using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Xen.Blkif.Protocol;

/// <summary>Turns a copied slot into a checked request, or a refusal with its reason.</summary>
/// <remarks>
/// Pure and total: no I/O, no allocation, no exception, an answer for every content of a slot. It must be given a private copy of the slot,
/// never the ring: what it has checked must not change afterwards (XSA-155).
/// </remarks>
public static class RequestParser
{
    /// <summary>Checks a request; an indirect one as far as that goes without its segments.</summary>
    /// <typeparam name="TRequest">The request's layout.</typeparam>
    /// <param name="copy">A private copy of the slot. Not changed; by reference because it is large.</param>
    /// <param name="limits">What the disk allows.</param>
    /// <param name="request">The checked request; meaningful where the result is <see cref="Refusal.None"/>.</param>
    /// <returns><see cref="Refusal.None"/>, or the reason.</returns>
    public static Refusal Parse<TRequest>(ref TRequest copy, RequestLimits limits, out BlockRequest request)
        where TRequest : unmanaged, IBlkifRequest
    {
        request = default;
        switch ((BlkifOperation)copy.Operation)
        {
            case BlkifOperation.Read:
                return ParseTransfer(ref copy, limits, BlockRequestKind.Read, ref request);

            case BlkifOperation.Write:
                return limits.ReadOnly ? Refusal.ReadOnly : ParseTransfer(ref copy, limits, BlockRequestKind.Write, ref request);

            case BlkifOperation.FlushDiskCache:
                return ParseFlush(ref copy, limits, limits.Flush, BlockRequestKind.Flush, BlockRequestKind.FlushThenWrite, ref request);

            case BlkifOperation.WriteBarrier:
                return ParseFlush(ref copy, limits, limits.Barrier, BlockRequestKind.Barrier, BlockRequestKind.Barrier, ref request);

            case BlkifOperation.Discard:
                return ParseDiscard(ref copy, limits, ref request);

            case BlkifOperation.Indirect:
                return ParseIndirectHeader(ref copy, limits, out request);

            case BlkifOperation.Reserved:
                return Refusal.UnsupportedOperation;

            default:
                return Refusal.UnknownOperation;
        }
    }

    /// <summary>
    /// Whether a request is what nearly all are: a read, or a write where that is allowed, of whole pages, which it names itself. Then it has
    /// passed every check. Any other is to be given to <see cref="Parse"/>.
    /// </summary>
    /// <typeparam name="TRequest">The request's layout.</typeparam>
    /// <param name="copy">A private copy of the slot. Not changed.</param>
    /// <param name="limits">What the disk allows.</param>
    // A page has whole blocks of any size that a disk can have.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool IsPlain<TRequest>(ref TRequest copy, RequestLimits limits)
        where TRequest : unmanaged, IBlkifRequest
    {
        uint segments = copy.SegmentCount;
        return copy.Operation <= limits.LastTransfer
            && segments - 1 < BlkifLimits.MaxSegments
            && SegmentCheck.AreWholePages(ref Unsafe.Add(ref Unsafe.As<TRequest, byte>(ref copy), copy.SegmentsOffset), segments)
            && limits.Contain(copy.SectorNumber, segments * BlkifLimits.SectorsPerPage)
            && limits.IsAligned(copy.SectorNumber);
    }

    /// <summary>Checks an indirect request to its end.</summary>
    /// <typeparam name="TRequest">The request's layout.</typeparam>
    /// <param name="copy">The same copy of the slot. Not changed.</param>
    /// <param name="segments">A private copy of the segments, as many as <see cref="Parse"/> said.</param>
    /// <param name="limits">What the disk allows.</param>
    /// <param name="request">The checked request; meaningful where the result is <see cref="Refusal.None"/>.</param>
    /// <returns><see cref="Refusal.None"/>, or the reason.</returns>
    public static Refusal ParseIndirect<TRequest>(
        ref TRequest copy, ReadOnlySpan<BlkifSegment> segments, RequestLimits limits, out BlockRequest request)
        where TRequest : unmanaged, IBlkifRequest
    {
        uint total = 0;
        Refusal refusal = ParseIndirectHeader(ref copy, limits, out request);
        if (refusal == Refusal.None)
            refusal = SegmentCheck.CheckMany(ref MemoryMarshal.GetReference(MemoryMarshal.AsBytes(segments)), segments.Length, limits, out total);

        return refusal == Refusal.None ? Finish(ref request, limits, request.Kind, copy.SectorNumber, total, segments.Length) : refusal;
    }

    /// <summary>
    /// The operation that the response to a request names, honest or not: its own, and of an indirect request the one that it meant. Linux
    /// gives a disk up that answers otherwise.
    /// </summary>
    /// <typeparam name="TRequest">The request's layout.</typeparam>
    /// <param name="copy">A private copy of the slot. Not changed.</param>
    public static byte OperationToAnswer<TRequest>(ref TRequest copy)
        where TRequest : unmanaged, IBlkifRequest =>
        copy.Operation == (byte)BlkifOperation.Indirect ? copy.IndirectOperation : copy.Operation;

    private static Refusal ParseIndirectHeader<TRequest>(ref TRequest copy, RequestLimits limits, out BlockRequest request)
        where TRequest : unmanaged, IBlkifRequest
    {
        request = default;
        if (limits.MaxIndirectSegments == 0)
            return Refusal.UnsupportedOperation;

        var operation = (BlkifOperation)copy.IndirectOperation;
        if (operation is not (BlkifOperation.Read or BlkifOperation.Write))
            return Refusal.NoTransfer;
        if (operation == BlkifOperation.Write && limits.ReadOnly)
            return Refusal.ReadOnly;

        int segments = copy.IndirectSegmentCount;
        if (segments == 0)
            return Refusal.Empty;
        if (segments > limits.MaxIndirectSegments)
            return Refusal.TooManySegments;

        request = new BlockRequest(operation == BlkifOperation.Read ? BlockRequestKind.Read : BlockRequestKind.Write, segments);
        return Refusal.None;
    }

    private static Refusal ParseFlush<TRequest>(
        ref TRequest copy, RequestLimits limits, bool isOffered, BlockRequestKind alone, BlockRequestKind withData, ref BlockRequest request)
        where TRequest : unmanaged, IBlkifRequest
    {
        if (!isOffered)
            return Refusal.UnsupportedOperation;

        // Alone it changes nothing, so that a read-only disk takes it; its sector number means nothing and is not looked at.
        if (copy.SegmentCount == 0)
        {
            request = new BlockRequest(alone, 0, 0, 0);
            return Refusal.None;
        }

        return limits.ReadOnly ? Refusal.ReadOnly : ParseTransfer(ref copy, limits, withData, ref request);
    }

    private static Refusal ParseTransfer<TRequest>(ref TRequest copy, RequestLimits limits, BlockRequestKind kind, ref BlockRequest request)
        where TRequest : unmanaged, IBlkifRequest
    {
        int segments = copy.SegmentCount;
        if (segments == 0)
            return Refusal.Empty;
        if (segments > BlkifLimits.MaxSegments)
            return Refusal.TooManySegments;

        ref byte first = ref Unsafe.Add(ref Unsafe.As<TRequest, byte>(ref copy), copy.SegmentsOffset);
        Refusal refusal = SegmentCheck.Check(ref first, segments, limits, out uint total);
        return refusal == Refusal.None ? Finish(ref request, limits, kind, copy.SectorNumber, total, segments) : refusal;
    }

    private static Refusal ParseDiscard<TRequest>(ref TRequest copy, RequestLimits limits, ref BlockRequest request)
        where TRequest : unmanaged, IBlkifRequest
    {
        // Linux ignores the flag where it did not offer it. To say that data is beyond recovery that is not would be a lie.
        bool isSecure = (copy.DiscardFlags & BlkifLimits.SecureDiscard) != 0;
        if (!limits.Discard || (isSecure && !limits.SecureDiscard))
            return Refusal.UnsupportedOperation;
        if (limits.ReadOnly)
            return Refusal.ReadOnly;

        ulong count = copy.DiscardSectorCount;
        BlockRequestKind kind = isSecure ? BlockRequestKind.SecureDiscard : BlockRequestKind.Discard;
        return count == 0 ? Refusal.Empty : Finish(ref request, limits, kind, copy.SectorNumber, count, 0);
    }

    private static Refusal Finish(
        ref BlockRequest request, RequestLimits limits, BlockRequestKind kind, ulong sector, ulong count, int segments)
    {
        Refusal refusal = CheckRange(limits, sector, count);
        if (refusal == Refusal.None)
            request = new BlockRequest(kind, sector, count, segments);
        return refusal;
    }

    private static Refusal CheckRange(RequestLimits limits, ulong sector, ulong count)
    {
        // Before any arithmetic on the sector number: 2^55 sectors are 0 bytes modulo 2^64 (CVE-2008-0928 and what followed from it).
        if (!limits.Contain(sector, count))
            return Refusal.BeyondEnd;
        return limits.IsAligned(sector | count) ? Refusal.None : Refusal.Misaligned;
    }
}
