using System.Runtime.InteropServices;

namespace Xen.Blkif.Linux;

/// <summary>A counter in the kernel that wakes whoever polls it.</summary>
internal sealed unsafe class EventFd : SafeHandle
{
    private const int Flags = 0x800 | 0x80000; // EFD_NONBLOCK | EFD_CLOEXEC

    /// <summary>Makes one. <see cref="IsInvalid"/> tells where the system has none left, and the last error says why.</summary>
    public EventFd()
        : base((IntPtr)(-1), ownsHandle: true) => SetHandle((IntPtr)Create(0, Flags));

    /// <inheritdoc/>
    public override bool IsInvalid => handle == (IntPtr)(-1);

    /// <summary>The file descriptor, for polling by the owner.</summary>
    public int Descriptor => (int)handle;

    /// <summary>Wakes the poller. Any thread; does nothing once disposed.</summary>
    public void Signal()
    {
        bool added = false;
        try
        {
            DangerousAddRef(ref added);
            ulong one = 1;
            _ = Write((int)handle, &one, sizeof(ulong));
        }
        catch (ObjectDisposedException)
        {
            // Nobody waits any more.
        }
        finally
        {
            if (added)
                DangerousRelease();
        }
    }

    /// <summary>Takes the signals so far. The owner's thread.</summary>
    public void Clear()
    {
        ulong count;
        _ = Read((int)handle, &count, sizeof(ulong));
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle() => Close((int)handle) == 0;

    [DllImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    private static extern int Create(uint initial, int flags);

    [DllImport("libc", EntryPoint = "read")]
    private static extern nint Read(int descriptor, void* buffer, nuint count);

    [DllImport("libc", EntryPoint = "write")]
    private static extern nint Write(int descriptor, void* buffer, nuint count);

    [DllImport("libc", EntryPoint = "close")]
    private static extern int Close(int descriptor);
}
