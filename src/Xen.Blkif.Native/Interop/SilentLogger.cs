using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Xen.Blkif.Native.Interop;

/// <summary>The logger given to Xen's libraries: <c>struct xentoollog_logger</c> of <c>xentoollog.h</c>.</summary>
/// <remarks>
/// Without one they write a line to standard error whenever a guest names a grant that it did not give, as often as it likes. What fails is
/// in exceptions and in the answers to requests instead, whose lines are counted.
/// </remarks>
internal static unsafe class SilentLogger
{
    // One for the process, never freed: handles keep its address.
    public static nint Address { get; } = Create();

    private static nint Create()
    {
        var logger = (nint*)NativeMemory.Alloc(3, (nuint)sizeof(nint));
        logger[0] = (nint)(delegate* unmanaged[Cdecl]<nint, int, int, nint, nint, nint, void>)&Message;
        logger[1] = (nint)(delegate* unmanaged[Cdecl]<nint, nint, nint, int, nuint, nuint, void>)&Progress;
        logger[2] = (nint)(delegate* unmanaged[Cdecl]<nint, void>)&Destroy;
        return (nint)logger;
    }

    // The last argument is a va_list, which every 64-bit ABI of Linux passes by its address.
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Message(nint logger, int level, int errno, nint context, nint format, nint arguments)
    {
        // Not repeated: see above.
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Progress(nint logger, nint context, nint activity, int percent, nuint done, nuint total)
    {
        // These libraries have none.
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Destroy(nint logger)
    {
        // It lives as long as the process.
    }
}
