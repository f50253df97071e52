namespace Xen.Blkif.Protocol;

/// <summary>How a request went.</summary>
/// <remarks>Source: <c>BLKIF_RSP_*</c> in Xen's <c>public/io/blkif.h</c>.</remarks>
public enum BlkifStatus : short
{
    /// <summary>Done.</summary>
    Okay = 0,

    /// <summary>Failed; nothing is said of the cause.</summary>
    Error = -1,

    /// <summary>The operation is not supported: the frontend stops asking for it and loses nothing else.</summary>
    NotSupported = -2,
}
