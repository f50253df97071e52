using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Samples.Host;

/// <summary>Opens an image in a file or on a block device.</summary>
internal delegate IBlockTarget FileOpener(string path, FileTargetOptions options);

/// <summary>Where a disk's bytes are, as the command line and libxl's <c>params</c> say it.</summary>
internal static class TargetSpec
{
    public const string Syntax = "PATH, file:PATH, memory:SIZE or null:SIZE";

    /// <summary>Opens a target.</summary>
    /// <param name="spec">A path, with or without <c>file:</c>, <c>aio:</c> or <c>raw:</c>; <c>memory:SIZE</c>; <c>null:SIZE</c>.</param>
    /// <param name="openFile">Opens a file.</param>
    /// <param name="options">How a file is opened.</param>
    /// <param name="sectorSize">The logical sector size that the guest is to see: 512, 4096, or null for that of the storage.</param>
    /// <exception cref="TargetException">It cannot be opened; the message says why.</exception>
    public static IBlockTarget Open(string spec, FileOpener openFile, FileTargetOptions options, int? sectorSize = null)
    {
        // Larger sectors are the storage's own business. Smaller ones than it has are made of them.
        if (sectorSize > BlkifLimits.SectorSize)
            options = options with { LogicalSectorSize = sectorSize };
        int own = options.LogicalSectorSize ?? BlkifLimits.SectorSize;
        int colon = spec.IndexOf(':', StringComparison.Ordinal);
        string kind = colon < 0 ? "" : spec[..colon];
        string rest = spec[(colon + 1)..];
        IBlockTarget target = kind switch
        {
            "memory" => InMemory(SizeOf(rest, spec, own), own, spec),
            "null" => new NullTarget(SizeOf(rest, spec, own), own),

            // The format is always raw: what a guest writes to its disk never decides it.
            "file" or "aio" or "raw" => openFile(Named(rest, spec), options),
            _ => openFile(Named(spec, spec), options),
        };
        if (sectorSize < target.Info.LogicalSectorSize && options.DirectIo == true)
        {
            target.DisposeAsync().AsTask().GetAwaiter().GetResult();
            throw new TargetException($"'{spec}' has sectors of {target.Info.LogicalSectorSize} bytes: smaller ones are made of them in the page cache, without direct I/O.");
        }

        if (sectorSize < target.Info.LogicalSectorSize)
            target = new Emulated512Target(target);
        return options.ReadOnly && !target.Info.ReadOnly ? new ReadOnlyTarget(target) : target;
    }

    /// <summary>Whether what is written is still there when the process is killed.</summary>
    public static bool OutlivesProcess(string spec) => !spec.StartsWith("memory:", StringComparison.Ordinal);

    private static MemoryTarget InMemory(long size, int sectorSize, string spec)
    {
        try
        {
            return new MemoryTarget(size, sectorSize);
        }
        catch (OutOfMemoryException e)
        {
            throw new TargetException($"'{spec}' is more memory than there is.", e);
        }
    }

    private static string Named(string path, string spec) => path.Length > 0 ? path : throw new TargetException($"'{spec}' names no file: a target is {Syntax}.");

    private static long SizeOf(string text, string spec, int sectorSize) =>
        ByteSize.TryParse(text, out long size) && size > 0 && size % sectorSize == 0
            ? size
            : throw new TargetException($"'{spec}' has no size: write a multiple of {sectorSize} bytes such as 64M after the colon.");
}
