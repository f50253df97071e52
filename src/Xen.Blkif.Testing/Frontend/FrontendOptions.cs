using Xen.Blkif.Protocol;

namespace Xen.Blkif.Testing;

/// <summary>How the drivers of real guests walk the states when they connect and close.</summary>
public enum FrontendStyle
{
    /// <summary>Waits for the backend's offer, announces 3, waits for the backend, then announces 4. Closes by 5 and 6. (blkfront)</summary>
    Linux,

    /// <summary>Announces 4 at once, waiting for nothing. Closes by 5 and 6. (mini-os, OVMF)</summary>
    MiniOs,

    /// <summary>Announces 3 at once, and never 4. Closes by 6 straight away and empties its keys. (GRUB)</summary>
    Grub,
}

/// <summary>What a frontend asks for.</summary>
public sealed record FrontendOptions
{
    /// <summary>The layout that it speaks.</summary>
    public BlkifProtocol Protocol { get; init; }

    /// <summary>Whether it says so in xenstore. One that does not is taken for 32-bit x86 on x86.</summary>
    public bool WritesProtocol { get; init; } = true;

    /// <summary>Its queues, as far as the backend offers them.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not positive.</exception>
    public int Queues
    {
        get;
        init => field = value >= 1 ? value : throw new ArgumentOutOfRangeException(nameof(value), value, "A frontend has at least one queue.");
    } = 1;

    /// <summary>The binary logarithm of the pages of each ring, 0 to 4, as far as the backend offers it.</summary>
    public int RingPageOrder { get; init; }

    /// <summary>Requests it can have under way at once in each queue, from 1 to the slots of its ring.</summary>
    public int Depth { get; init; } = 32;

    /// <summary>
    /// The most segments that it puts into a request, as far as the backend offers them, 0 to 256; 32 unless set, as in Linux. With 11 or
    /// fewer it makes no indirect requests, nor does one that does not wait for the offer. The guest has as many pages for each request of
    /// its <see cref="Depth"/>.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not 0 to 256.</exception>
    public int MaxIndirectSegments
    {
        get;
        init => field = value is >= 0 and <= RequestLimits.IndirectSegmentsCeiling ? value : throw new ArgumentOutOfRangeException(
            nameof(value), value, $"An indirect request has at most {RequestLimits.IndirectSegmentsCeiling} segments.");
    } = 32;

    /// <summary>
    /// Whether it uses persistent grants where the backend offers them, as Linux does: the same pages under the same references from the
    /// first request to the last. Otherwise it grants the pages anew for each request, and takes those grants back with the response, which
    /// the backend must have unmapped by then.
    /// </summary>
    public bool UsesPersistentGrants { get; init; } = true;

    /// <summary>Whose driver it behaves like.</summary>
    public FrontendStyle Style { get; init; }

    /// <summary>How long it waits for the backend's next state, and for any response.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);
}
