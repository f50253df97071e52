namespace Xen.Blkif.Protocol;

/// <summary>Why a request is refused.</summary>
public enum Refusal : byte
{
    /// <summary>It is not.</summary>
    None,

    /// <summary>The operation is none of the protocol's.</summary>
    UnknownOperation,

    /// <summary>The operation is one of the protocol's that this disk does not offer.</summary>
    UnsupportedOperation,

    /// <summary>It would change a read-only disk.</summary>
    ReadOnly,

    /// <summary>It transfers or discards nothing.</summary>
    Empty,

    /// <summary>It has more segments than a request carries in itself, 11, or than this disk offers for an indirect one.</summary>
    TooManySegments,

    /// <summary>It is indirect and means neither a read nor a write.</summary>
    NoTransfer,

    /// <summary>A segment ends before it starts.</summary>
    SegmentReversed,

    /// <summary>A segment leaves its page.</summary>
    SegmentOutsidePage,

    /// <summary>The start or the length is not a multiple of the disk's logical sector size.</summary>
    Misaligned,

    /// <summary>The range passes the end of the disk.</summary>
    BeyondEnd,
}

/// <summary>How a refusal is told to the guest.</summary>
public static class Refusals
{
    /// <summary>How many reasons there are, <see cref="Refusal.None"/> included.</summary>
    internal const int Count = (int)Refusal.BeyondEnd + 1;

    /// <summary>
    /// The status for a refusal. What is not supported says so, unknown operations too: a guest that was moved here from a host with
    /// more features then does without, where an error would take its disk away.
    /// </summary>
    /// <param name="refusal">The reason.</param>
    public static BlkifStatus StatusOf(Refusal refusal) => refusal switch
    {
        Refusal.None => BlkifStatus.Okay,
        Refusal.UnknownOperation or Refusal.UnsupportedOperation => BlkifStatus.NotSupported,
        _ => BlkifStatus.Error,
    };
}
