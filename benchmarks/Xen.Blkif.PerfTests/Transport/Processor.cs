using System.Runtime.InteropServices;

namespace Xen.Blkif.PerfTests.Transport;

/// <summary>Keeps a thread on one processor.</summary>
internal static unsafe class Processor
{
    private const int MaxProcessors = 1024;

    /// <summary>Does something with this thread on one processor, where the threads stay that it starts, then lets this one go again.</summary>
    /// <param name="cpu">The processor's number; negative for any.</param>
    /// <param name="action">What to do.</param>
    /// <exception cref="UserException">There is no such processor for this process.</exception>
    public static T On<T>(int cpu, Func<T> action)
    {
        if (cpu < 0)
            return action();

        ulong* before = stackalloc ulong[MaxProcessors / 64];
        ulong* one = stackalloc ulong[MaxProcessors / 64];
        new Span<ulong>(one, MaxProcessors / 64).Clear();
        one[cpu % MaxProcessors / 64] = 1ul << (cpu % 64);
        if (LibC.GetAffinity(0, MaxProcessors / 8, before) < 0 || cpu >= MaxProcessors || LibC.SetAffinity(0, MaxProcessors / 8, one) != 0)
            throw new UserException($"This process cannot run on processor {cpu}: error {Marshal.GetLastPInvokeError()}.");
        try
        {
            return action();
        }
        finally
        {
            _ = LibC.SetAffinity(0, MaxProcessors / 8, before);
        }
    }
}
