namespace Xen.Blkif.Hypervisor;

/// <summary>The page of grants and ring protocols: 4096 bytes on every architecture, whatever pages the kernels use.</summary>
/// <remarks>Source: <c>XEN_PAGE_SHIFT</c> in Xen's <c>public/io/ring.h</c>.</remarks>
public static class XenPage
{
    /// <summary>Bytes in a page.</summary>
    public const int Size = 4096;
}
