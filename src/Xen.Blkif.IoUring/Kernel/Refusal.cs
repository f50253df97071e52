namespace Xen.Blkif.IoUring.Kernel;

/// <summary>Why there is no ring, for people.</summary>
internal static class Refusal
{
    private const int NotPermitted = 1, OutOfMemory = 12, ProcessFiles = 24, SystemFiles = 23;

    /// <summary>What an error of io_uring_setup means.</summary>
    /// <param name="error">Its number.</param>
    public static string Of(int error) => error switch
    {
        Interop.NoSystemCallError => "this kernel has no io_uring",
        NotPermitted => "io_uring is forbidden here, by the setting kernel.io_uring_disabled or by a filter of system calls",
        OutOfMemory => "there is no memory for an io_uring, or a limit of locked memory is too low for it",
        ProcessFiles or SystemFiles => "there are too many open files for an io_uring",
        _ => $"io_uring_setup failed with error {error}",
    };
}
