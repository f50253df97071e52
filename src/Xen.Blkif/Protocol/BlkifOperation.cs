namespace Xen.Blkif.Protocol;

/// <summary>What a request asks for.</summary>
/// <remarks>Source: <c>BLKIF_OP_*</c> in Xen's <c>public/io/blkif.h</c>.</remarks>
public enum BlkifOperation : byte
{
    /// <summary>Reads sectors into granted pages.</summary>
    Read = 0,

    /// <summary>Writes sectors from granted pages.</summary>
    Write = 1,

    /// <summary>Writes after all that was asked before and before all that is asked later; <c>feature-barrier</c>.</summary>
    WriteBarrier = 2,

    /// <summary>Brings what was written to stable storage; <c>feature-flush-cache</c>. May carry data, written after the flush.</summary>
    FlushDiskCache = 3,

    /// <summary>Reserved for device-specific packets.</summary>
    Reserved = 4,

    /// <summary>Says that sectors are no longer in use; <c>feature-discard</c>.</summary>
    Discard = 5,

    /// <summary>A read or write whose segments lie in granted pages of their own; <c>feature-max-indirect-segments</c>.</summary>
    Indirect = 6,
}
