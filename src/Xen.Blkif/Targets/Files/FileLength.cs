using Microsoft.Extensions.Logging;

namespace Xen.Blkif.Targets.Files;

/// <summary>How long an image is, which others may change while it is served.</summary>
/// <remarks>Thread-safe.</remarks>
internal sealed partial class FileLength
{
    private readonly string _path;
    private readonly PositionalFile _file;
    private readonly int _sectorSize;
    private readonly ILogger _logger;

    // The last length that a disk can have, and what the file was found with after that.
    private long _usable;
    private long _found;

    /// <exception cref="TargetException">The file is empty or has no whole number of sectors.</exception>
    public FileLength(string path, PositionalFile file, int sectorSize, ILogger logger)
    {
        _path = path;
        _file = file;
        _sectorSize = sectorSize;
        _logger = logger;
        _usable = _found = file.Length;
        if (_found <= 0)
            throw new TargetException($"The image '{path}' is empty: give it a size, for example with 'truncate -s 1G'.");
        if (_found % sectorSize != 0)
        {
            throw new TargetException(
                $"The image '{path}' has {_found} bytes, which is not a multiple of {sectorSize}: a disk has whole sectors. 'truncate -s %{sectorSize}' pads it.");
        }
    }

    /// <summary>Asks the file.</summary>
    /// <returns>Bytes; the last length that a disk can have where the file has none now, which is logged once.</returns>
    public long Read()
    {
        long length = _file.Length;
        bool isUsable = length > 0 && length % _sectorSize == 0;
        if (isUsable)
            Volatile.Write(ref _usable, length);
        if (Interlocked.Exchange(ref _found, length) != length && !isUsable)
            LogPassedOver(_path, length, _sectorSize, Volatile.Read(ref _usable));
        return Volatile.Read(ref _usable);
    }

    [LoggerMessage(2, LogLevel.Warning, "The image '{Path}' has {Found} bytes now, and a disk has whole sectors of {SectorSize}, at least one: its size stays {Usable} bytes")]
    private partial void LogPassedOver(string path, long found, int sectorSize, long usable);
}
