using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets.Files;

namespace Xen.Blkif.Targets;

/// <summary>A disk in a file: a raw image, sector after sector, or a block device.</summary>
/// <remarks>
/// A flush is an <c>fsync</c>. A discard punches a hole where the system and the file system can (Linux: ext4, xfs, btrfs, tmpfs), or is the
/// block device's own where it has one, else the guest is not offered it; a secure one is offered where a device erases. The content never decides the format (CVE-2008-1945). The file is locked against other programs that ask.
/// </remarks>
public sealed class FileTarget : IBlockTarget
{
    // How .NET reports that a lock is held: EWOULDBLOCK of flock, and ERROR_SHARING_VIOLATION of Windows.
    private const int WouldBlock = 11;
    private const int SharingViolation = unchecked((int)0x8007_0020);

    // What file systems allocate, and what is written to a disk at once, as good as everywhere.
    private const int FileBlock = 4096;

    private readonly PositionalFile _file;
    private readonly FileTargetOptions _options;
    private readonly FileIo _io;
    private readonly FileLength _length;
    private volatile BlockTargetInfo _info;

    private FileTarget(string path, PositionalFile file, FileTargetOptions options)
    {
        Path = path;
        _file = file;
        _options = options;
        ILogger logger = options.Logger ?? NullLogger.Instance;
        int sectorSize = SectorSizeOf(path, file, options);
        _io = new FileIo(path, file, logger);
        _length = new FileLength(path, file, sectorSize, logger);
        var info = new BlockTargetInfo(_length.Read())
        {
            ReadOnly = options.ReadOnly,
            LogicalSectorSize = sectorSize,
            PhysicalSectorSize = file.Device is null ? FileBlock : Math.Max(file.Device.PhysicalSectorSize, sectorSize),
            Flush = Capability.Native,
        };
        _info = options.ReadOnly ? info : WithDiscards(info, file);
    }

    /// <summary>The open file, for targets that do its input and output by other means.</summary>
    internal PositionalFile File => _file;

    /// <summary>What does a request on the calling thread, and remembers and tells what failed.</summary>
    internal FileIo Io => _io;

    /// <summary>The file, as it was named.</summary>
    public string Path { get; }

    /// <summary>What the disk is and can do. Its length is that of the file at the time.</summary>
    /// <remarks>
    /// Where the file has no whole number of sectors any more, or is empty, the length stays what it was, and the logger hears of it.
    /// </remarks>
    public BlockTargetInfo Info
    {
        get
        {
            BlockTargetInfo info = _info;
            long length = _length.Read();
            return length == info.Length ? info : _info = info with { Length = length };
        }
    }

    /// <summary>Opens an image.</summary>
    /// <param name="path">The file or block device.</param>
    /// <param name="options">How; <see langword="null"/> for the defaults.</param>
    /// <exception cref="TargetException">The file is missing, may not be opened, is in use, or has no whole number of sectors.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    public static FileTarget Open(string path, FileTargetOptions? options = null)
    {
        options ??= new FileTargetOptions();
        if ((uint)options.Workers > 64)
            throw new ArgumentOutOfRangeException(nameof(options), options.Workers, "A queue has 0 to 64 worker threads.");
        if (options.LogicalSectorSize is not (null or 512 or 1024 or 2048 or 4096))
            throw new ArgumentOutOfRangeException(nameof(options), options.LogicalSectorSize, "A logical sector size is 512, 1024, 2048 or 4096 bytes.");

        PositionalFile file = OpenFile(path, options);
        try
        {
            GoDirect(path, file, options);
            return new FileTarget(path, file, options);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) =>
        new FileQueue(_io, completions, Math.Min(_options.Workers, depth), depth);

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _file.Dispose();
        return default;
    }

    private static PositionalFile OpenFile(string path, FileTargetOptions options)
    {
        try
        {
            return OpenUnlocked(path, options);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new TargetException($"The image '{path}' does not exist.", e);
        }
        catch (UnauthorizedAccessException e)
        {
            string remedy = options.ReadOnly ? "read it" : "write to it, or serve it read-only";
            string reason = Directory.Exists(path) ? "is a directory" : $"may not be opened: let this user {remedy}";
            throw new TargetException($"The image '{path}' {reason}.", e);
        }
        catch (IOException e) when (IsInUse(e))
        {
            throw new TargetException($"The image '{path}' is in use: close what has it open, or serve it read-only everywhere.", e);
        }
        catch (IOException e)
        {
            throw new TargetException($"The image '{path}' cannot be opened: {e.Message}", e);
        }
    }

    private static PositionalFile OpenUnlocked(string path, FileTargetOptions options)
    {
        const int MillisecondsBetween = 10;
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                return new PositionalFile(path, options.ReadOnly);
            }
            catch (IOException e) when (IsInUse(e) && (Stopwatch.GetTimestamp() - start) / (double)Stopwatch.Frequency < options.LockPatience.TotalSeconds)
            {
                Task.Delay(MillisecondsBetween).GetAwaiter().GetResult();
            }
        }
    }

    private static bool IsInUse(IOException e) => e.HResult is WouldBlock or SharingViolation;

    private static void GoDirect(string path, PositionalFile file, FileTargetOptions options)
    {
        // What is made of larger sectors, such as Emulated512Target, has memory for parts of them, which direct I/O does not take.
        bool wanted = options.DirectIo ?? file.Device is { LogicalSectorSize: BlkifLimits.SectorSize };
        if (wanted && !file.TryGoDirect() && options.DirectIo == true)
            throw new TargetException($"The image '{path}' cannot be read and written past the page cache: serve it without direct I/O.");
    }

    private static int SectorSizeOf(string path, PositionalFile file, FileTargetOptions options)
    {
        int size = options.LogicalSectorSize ?? file.Device?.LogicalSectorSize ?? BlkifLimits.SectorSize;
        if (!file.IsDirect)
            return size;

        int smallest = SmallestTransferOf(path, file);
        if (options.LogicalSectorSize < smallest)
            throw new TargetException($"Direct I/O to '{path}' has a unit of {smallest} bytes: sectors of {size} need the page cache, or are made of larger ones.");
        return Math.Max(size, smallest);
    }

    private static int SmallestTransferOf(string path, PositionalFile file)
    {
        try
        {
            return file.Device?.LogicalSectorSize ?? file.ProbeSmallestTransfer();
        }
        catch (IOException e)
        {
            throw new TargetException($"The image '{path}' cannot be read: {e.Message}", e);
        }
    }

    private static BlockTargetInfo WithDiscards(BlockTargetInfo info, PositionalFile file)
    {
        if (file.Device is not { } device)
            return info with { Discard = CanPunchHoles(file) ? Capability.Native : Capability.None, DiscardGranularity = FileBlock };

        // The device's own units are whole ones of its own sectors, which need not be those that the guest sees.
        bool fits = device.Discards.Granularity % info.LogicalSectorSize == 0 && device.Discards.Alignment % info.LogicalSectorSize == 0;
        return info with
        {
            Discard = device.CanDiscard ? Capability.Native : Capability.None,
            DiscardGranularity = fits ? device.Discards.Granularity : info.LogicalSectorSize,
            DiscardAlignment = fits ? device.Discards.Alignment : 0,
            ErasesSecurely = device.CanErase,
        };
    }

    // Asked of the file itself, at its very end and beyond what a disk has there, so that nothing of it changes.
    private static bool CanPunchHoles(PositionalFile file)
    {
        if (!RuntimeInformation.IsOSPlatform(OSPlatform.Linux))
            return false;
        try
        {
            return file.TryPunchHole(file.Length, FileBlock);
        }
        catch (IOException)
        {
            return false;
        }
    }
}
