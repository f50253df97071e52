using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.IoUring.Kernel;
using Xen.Blkif.IoUring.Queues;
using Xen.Blkif.Targets;
using Xen.Blkif.Targets.Files;

namespace Xen.Blkif.IoUring;

/// <summary>A disk in a file or on a block device, by io_uring: as <see cref="FileTarget"/> in everything but the way.</summary>
/// <remarks>
/// One system call submits requests and waits for their results and for the guest's next events, where the event channel has descriptors
/// (<see cref="IEventDescriptors"/>). What the page cache has is read and written on the spot. A file that lives in memory alone (tmpfs), and a
/// block device through the page cache or without anything to wait for (a RAM disk), is served as <see cref="FileTarget"/> serves it, which is quicker there. Needs Linux 5.11; see
/// <see cref="FileTargets.Open"/>.
/// </remarks>
public sealed partial class IoUringTarget : IWaitableTarget
{
    private readonly FileTarget _file;
    private readonly FileTargetOptions _options;
    private readonly ILogger _logger;
    private readonly bool _ringIsSlower;

    private IoUringTarget(FileTarget file, FileTargetOptions options)
    {
        _file = file;
        _options = options;
        _logger = options.Logger ?? NullLogger.Instance;

        // Linux hands each write to a block device that goes through the page cache to a thread of its own, which takes longer than to do it here.
        _ringIsSlower = file.File.Device is null ? FileSystems.IsInMemory(file.File.Handle) : !file.File.IsDirect || PlainCalls.AreQuickerFor(file.File);
    }

    /// <summary>The file, as it was named.</summary>
    public string Path => _file.Path;

    /// <inheritdoc cref="FileTarget.Info"/>
    public BlockTargetInfo Info => _file.Info;

    /// <summary>Opens an image.</summary>
    /// <param name="path">The file or block device.</param>
    /// <param name="options">How; <see langword="null"/> for the defaults.</param>
    /// <exception cref="TargetException">
    /// The file is missing, may not be opened, is in use, or has no whole number of sectors; or this system has no io_uring.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    public static IoUringTarget Open(string path, FileTargetOptions? options = null)
    {
        options ??= new FileTargetOptions();
        if (!IoUringSupport.IsThere(out string refusal))
            throw new TargetException($"The image '{path}' cannot be served by io_uring: {refusal}.");
        return new IoUringTarget(FileTarget.Open(path, options), options);
    }

    /// <inheritdoc/>
    public IWaitableQueue? OpenQueue(int depth, IBlockCompletions completions, IEventDescriptors events) =>
        _ringIsSlower || TryOpenRing(depth) is not { } ring ? null : QueueOf(ring, depth, completions, events);

    /// <inheritdoc/>
    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions)
    {
        if (_ringIsSlower)
            return _file.OpenQueue(depth, completions);

        var doorbell = new Doorbell();
        if (TryOpenRing(depth) is not { } ring)
        {
            doorbell.Dispose();
            return _file.OpenQueue(depth, completions);
        }

        return new OwnThreadQueue(QueueOf(ring, depth, completions, doorbell), completions, doorbell);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _file.DisposeAsync();

    private KernelRing? TryOpenRing(int depth)
    {
        KernelRing? ring = KernelRing.TryOpen(depth + Signals.Count, out string refusal);
        if (ring is null)
            LogNoRing(Path, refusal);
        return ring;
    }

    private RingQueue QueueOf(KernelRing ring, int depth, IBlockCompletions completions, IEventDescriptors events)
    {
        // Not registered with the ring. That gains nothing that can be measured, and a ring lets go of its files late, after it is closed.
        PositionalFile file = _file.File;
        int descriptor = (int)file.Handle.DangerousGetHandle();

        // BLKDISCARD has to be waited for, and may take seconds.
        FileQueue? discards = file.Device is null || _options.ReadOnly ? null : new FileQueue(_file.Io, completions, workers: 1, depth);
        return new RingQueue(ring, _file.Io, descriptor, new InlineIo(file, _file.Io, descriptor), discards, depth, completions, new Signals(events));
    }

    [LoggerMessage(1, LogLevel.Warning, "A queue of '{Path}' is served by threads and not by io_uring: {Reason}")]
    private partial void LogNoRing(string path, string reason);
}
