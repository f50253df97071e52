using System.Runtime.InteropServices;
using Xen.Blkif.Targets;

namespace Xen.Blkif.IoUring.Kernel;

/// <summary>The system calls.</summary>
internal static unsafe partial class Interop
{
    public const int InterruptedError = 4;   // EINTR
    public const int AgainError = 11;        // EAGAIN
    public const int NoMemoryError = 12;     // ENOMEM
    public const int BusyError = 16;         // EBUSY
    public const int NoDeviceError = 19;     // ENODEV
    public const int InvalidError = 22;      // EINVAL
    public const int NoSystemCallError = 38; // ENOSYS
    public const int TimeError = 62;         // ETIME
    public const int NotSupportedError = 95; // EOPNOTSUPP

    // These three have the same numbers on all processors.
    private const nint SetupNumber = 425, EnterNumber = 426, RegisterNumber = 427;

    private static readonly nint ReadNumber = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 327 : 286;

    /// <summary>io_uring_setup.</summary>
    /// <returns>A descriptor; negative the number of an error.</returns>
    public static int Setup(int entries, SetupParameters* parameters) => Outcome(Call(SetupNumber, entries, (nint)parameters, 0, 0, 0, 0));

    /// <summary>io_uring_enter.</summary>
    /// <returns>Entries taken; negative the number of an error.</returns>
    public static int Enter(int ring, int submit, int wait, uint flags, void* argument, nint argumentLength) =>
        Outcome(Call(EnterNumber, ring, submit, wait, (nint)flags, (nint)argument, argumentLength));

    /// <summary>io_uring_register.</summary>
    /// <returns>Negative the number of an error.</returns>
    public static int Register(int ring, int operation) => Outcome(Call(RegisterNumber, ring, operation, 0, 0, 0, 0));

    /// <summary>preadv2 of what needs no waiting for.</summary>
    /// <returns>Bytes; negative the number of an error.</returns>
    public static int ReadWithoutWaiting(int file, IoVector* vectors, int count, long offset)
    {
        const int NoWait = 8; // RWF_NOWAIT
        return Outcome(Call(ReadNumber, file, (nint)vectors, count, (nint)offset, 0, NoWait));
    }

    [LibraryImport("libc", EntryPoint = "mmap64", SetLastError = true)]
    public static partial nint Map(nint address, nuint length, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    public static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "close")]
    public static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "fstatfs")]
    public static partial int FileSystem(int descriptor, void* status);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint Call(nint number, nint a, nint b, nint c, nint d, nint e, nint f);

    private static int Outcome(nint result) => result >= 0 ? (int)result : -Marshal.GetLastPInvokeError();
}
