using Microsoft.Extensions.Logging;

namespace Xen.Blkif.Targets.Files;

/// <summary>Does one request to a file, from start to end, on the calling thread. Any number of threads at once.</summary>
internal sealed partial class FileIo(string path, PositionalFile file, ILogger logger)
{
    public BlockStatus Do(in BlockIo io)
    {
        try
        {
            return Transfer(io);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            LogFailed(io.Kind, path, io.Offset, io.Length, e.Message);
            return BlockStatus.Error;
        }
    }

    private BlockStatus Transfer(in BlockIo io)
    {
        long offset = io.Offset;
        switch (io.Kind)
        {
            case BlockIoKind.Read:
                foreach (IoVector vector in io.Vectors)
                {
                    file.Read(vector.Span, offset);
                    offset += vector.Length;
                }

                return BlockStatus.Okay;

            case BlockIoKind.Write:
                foreach (IoVector vector in io.Vectors)
                {
                    file.Write(vector.Span, offset);
                    offset += vector.Length;
                }

                return BlockStatus.Okay;

            case BlockIoKind.Flush:
                file.Sync();
                return BlockStatus.Okay;

            default:
                return file.TryPunchHole(offset, io.Length) ? BlockStatus.Okay : BlockStatus.NotSupported;
        }
    }

    [LoggerMessage(1, LogLevel.Error, "{Operation} failed: '{Path}', {Length} bytes at byte {Offset}: {Reason}")]
    private partial void LogFailed(BlockIoKind operation, string path, long offset, long length, string reason);
}

/// <summary>Does every request on the queue's own thread.</summary>
internal sealed class FileInlineQueue(FileIo file) : InlineQueue
{
    /// <inheritdoc/>
    public override BlockStatus Submit(in BlockIo io) => file.Do(io);
}
