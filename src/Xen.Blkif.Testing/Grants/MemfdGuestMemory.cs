using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>Guest memory as an anonymous file of Linux, so that pages can be mapped again, elsewhere, in any order and read-only.</summary>
/// <remarks>The only type that calls the C library.</remarks>
internal sealed class MemfdGuestMemory : GuestMemory
{
    private const int ProtNone = 0, ProtRead = 1, ProtReadWrite = 3;
    private const int MapShared = 0x01, MapPrivate = 0x02, MapFixed = 0x10, MapAnonymous = 0x20, MapNoReserve = 0x4000;
    private const int MadviseRemove = 9;
    private const uint CloseOnExec = 1;
    private static readonly byte[] Name = "xen-blkif-guest\0"u8.ToArray();

    private int _file;

    public MemfdGuestMemory(int pages) : base(pages)
    {
        _file = memfd_create(Name, CloseOnExec);
        if (_file < 0)
            throw Failure("memfd_create");
        if (ftruncate(_file, Bytes(pages)) != 0)
        {
            var failure = Failure("ftruncate");
            _ = close(_file);
            throw failure;
        }

        Address = mmap(0, Bytes(pages), ProtReadWrite, MapShared, _file, 0);
        if (Address == -1)
        {
            var failure = Failure("mmap");
            _ = close(_file);
            throw failure;
        }
    }

    /// <summary>Whether this is a Linux whose pages are those of Xen and whose file offsets have 64 bits.</summary>
    public static bool IsSupported { get; } =
        RuntimeInformation.IsOSPlatform(OSPlatform.Linux) && Environment.SystemPageSize == XenPage.Size && IntPtr.Size == 8;

    /// <summary>
    /// Maps between two guard pages, so that an access before or behind the pages ends the process instead of hitting a neighbour.
    /// </summary>
    public override nint Map(ReadOnlySpan<int> pages, bool writable)
    {
        var reserved = mmap(0, Bytes(pages.Length + 2), ProtNone, MapPrivate | MapAnonymous | MapNoReserve, -1, 0);
        if (reserved == -1)
            throw Failure("mmap");
        var first = reserved + XenPage.Size;
        var protection = writable ? ProtReadWrite : ProtRead;
        for (var i = 0; i < pages.Length; i++)
        {
            if (mmap(first + (nint)i * XenPage.Size, XenPage.Size, protection, MapShared | MapFixed, _file, Bytes(pages[i])) != -1)
                continue;
            var failure = Failure("mmap");
            _ = munmap(reserved, Bytes(pages.Length + 2));
            throw failure;
        }

        return first;
    }

    public override void Unmap(nint address, int pages) => _ = munmap(address - XenPage.Size, Bytes(pages + 2));

    public override void Discard()
    {
        _ = madvise(Address, Bytes(Pages), MadviseRemove);
        CloseFile();
    }

    public override void Dispose()
    {
        if (Address == 0)
            return;
        _ = munmap(Address, Bytes(Pages));
        CloseFile();
        Address = 0;
    }

    private void CloseFile()
    {
        if (_file >= 0)
            _ = close(_file);
        _file = -1;
    }

    private static nint Bytes(int pages) => (nint)pages * XenPage.Size;

    private static HypervisorException Failure(string call) =>
        new($"Guest memory cannot be mapped: {call} failed with error {Marshal.GetLastWin32Error()}.");

    [DllImport("libc", SetLastError = true)]
    private static extern int memfd_create(byte[] name, uint flags);

    [DllImport("libc", SetLastError = true)]
    private static extern int ftruncate(int file, nint length);

    [DllImport("libc", SetLastError = true)]
    private static extern nint mmap(nint address, nint length, int protection, int flags, int file, nint offset);

    [DllImport("libc", SetLastError = true)]
    private static extern int munmap(nint address, nint length);

    [DllImport("libc", SetLastError = true)]
    private static extern int madvise(nint address, nint length, int advice);

    [DllImport("libc", SetLastError = true)]
    private static extern int close(int file);
}
