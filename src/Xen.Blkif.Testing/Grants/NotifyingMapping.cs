using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>A mapping that notifies the other end when it goes.</summary>
internal sealed class NotifyingMapping(IGrantMapping pages, IEventChannel channel) : IGrantMapping
{
    private int _unmapped;

    public nint Address => pages.Address;

    public int Length => pages.Length;

    public void Dispose()
    {
        // Interlocked: of two threads that unmap, one notifies.
        if (Interlocked.Exchange(ref _unmapped, 1) != 0)
            return;
        pages.Dispose();
        channel.Notify();
    }
}
