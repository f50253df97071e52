using System.Runtime.CompilerServices;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Rings;

/// <summary>How many slots a shared ring has.</summary>
/// <remarks>Source: <c>__RING_SIZE</c> in Xen's <c>public/io/ring.h</c>: as many as fit behind the 64-byte header, rounded down to a power of two.</remarks>
public static class RingSize
{
    /// <summary>Bytes of the header in front of the slots, of which there is one for all pages of a ring.</summary>
    public const int HeaderLength = 64;

    /// <summary>The largest page order that this library serves: 16 pages.</summary>
    public const int MaxPageOrder = 4;

    /// <summary>The bytes from one slot to the next: a slot holds a request, and later the response to it.</summary>
    /// <typeparam name="TRequest">The request as it lies in the ring.</typeparam>
    /// <typeparam name="TResponse">The response as it lies in the ring.</typeparam>
    public static int Stride<TRequest, TResponse>()
        where TRequest : unmanaged
        where TResponse : unmanaged =>
        Math.Max(Unsafe.SizeOf<TRequest>(), Unsafe.SizeOf<TResponse>());

    /// <summary>The slots of a ring.</summary>
    /// <typeparam name="TRequest">The request as it lies in the ring.</typeparam>
    /// <typeparam name="TResponse">The response as it lies in the ring.</typeparam>
    /// <param name="pageOrder">The binary logarithm of the ring's pages, 0 to 4.</param>
    /// <returns>A power of two.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The order is not 0 to 4.</exception>
    public static uint Slots<TRequest, TResponse>(int pageOrder)
        where TRequest : unmanaged
        where TResponse : unmanaged
    {
        if ((uint)pageOrder > MaxPageOrder)
            throw new ArgumentOutOfRangeException(nameof(pageOrder), pageOrder, "A ring has a page order from 0 to 4.");
        return SlotsIn(XenPage.Size << pageOrder, Stride<TRequest, TResponse>());
    }

    internal static uint SlotsIn(int length, int stride)
    {
        uint fit = (uint)((length - HeaderLength) / stride);
        uint slots = 1;
        while (slots <= fit / 2)
            slots *= 2;
        return slots;
    }
}
