namespace Xen.Blkif.Hypervisor;

/// <summary>What the hypervisor says of one grant operation.</summary>
/// <remarks>Source: <c>GNTST_*</c> in Xen's <c>public/grant_table.h</c>.</remarks>
public enum GrantStatus : short
{
    /// <summary>Done.</summary>
    Okay = 0,

    /// <summary>Failed; for one thing, where the entry grants nothing, or not this, or not to this domain.</summary>
    GeneralError = -1,

    /// <summary>The domain id names no domain.</summary>
    BadDomain = -2,

    /// <summary>The reference lies beyond the guest's grant table.</summary>
    BadGrantReference = -3,

    /// <summary>The mapping handle is unknown.</summary>
    BadHandle = -4,

    /// <summary>The address is not one that can be mapped at.</summary>
    BadVirtualAddress = -5,

    /// <summary>The device address is wrong.</summary>
    BadDeviceAddress = -6,

    /// <summary>There is no room in the I/O memory management unit.</summary>
    NoDeviceSpace = -7,

    /// <summary>This domain may not do that.</summary>
    PermissionDenied = -8,

    /// <summary>The page is not of a kind that can be granted.</summary>
    BadPage = -9,

    /// <summary>Offset and length leave the page.</summary>
    BadCopyArgument = -10,

    /// <summary>The address is too large.</summary>
    AddressTooBig = -11,

    /// <summary>The page is paged out: the same operation may succeed later.</summary>
    TryAgain = -12,
}
