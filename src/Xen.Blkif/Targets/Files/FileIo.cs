using Microsoft.Extensions.Logging;
using Xen.Blkif.Diagnostics;

namespace Xen.Blkif.Targets.Files;

/// <summary>Does one request to a file, from start to end, on the calling thread. Any number of threads at once.</summary>
internal sealed partial class FileIo(string path, PositionalFile file, ILogger logger)
{
    /// <summary>Why a flush that the system has nothing against fails all the same: it told another one, under way at the same time, of lost writes.</summary>
    public const string AnotherFlushFailed = "another flush failed meanwhile, so that writes may be lost; open the image anew.";

    private readonly LogBudget _budget = new();

    // The system tells of writes that it could not bring to the storage once, and has forgotten them by the next flush.
    private volatile bool _lostWrites;

    /// <summary>Whether a flush has failed, so that every later one does.</summary>
    public bool HasLostWrites
    {
        get => _lostWrites;
        private set => _lostWrites = value;
    }

    /// <summary>Does a request. Throws nothing, whatever the system or the logger does: a worker has no one to catch it.</summary>
    public BlockStatus Do(in BlockIo io)
    {
        try
        {
            return Transfer(io);
        }
#pragma warning disable CA1031 // .NET has many types for the errors of a file (EFBIG is an argument out of range)
        catch (Exception e)
#pragma warning restore CA1031
        {
            Report(io, e.Message);
            return BlockStatus.Error;
        }
    }

    /// <summary>Says that a request failed that was done by other means, and remembers where it was a flush.</summary>
    /// <param name="io">The request.</param>
    /// <param name="reason">What the system said.</param>
    public void Failed(in BlockIo io, string reason)
    {
        if (io.Kind == BlockIoKind.Flush)
            HasLostWrites = true;
        Report(io, reason);
    }

    private BlockStatus Transfer(in BlockIo io)
    {
        switch (io.Kind)
        {
            case BlockIoKind.Read:
                file.Read(io.Vectors, io.Offset);
                return BlockStatus.Okay;

            case BlockIoKind.Write:
                file.Write(io.Vectors, io.Offset);
                return BlockStatus.Okay;

            case BlockIoKind.Flush:
                if (HasLostWrites)
                    throw new IOException("an earlier flush failed, so that writes may be lost; open the image anew.");
                Sync();
                return BlockStatus.Okay;

            default:
                return file.TryDiscard(io.Offset, io.Length, erase: io.Kind == BlockIoKind.SecureDiscard) ? BlockStatus.Okay : BlockStatus.NotSupported;
        }
    }

    private void Sync()
    {
        try
        {
            file.Sync();
        }
        catch (IOException)
        {
            HasLostWrites = true;
            throw;
        }

        if (HasLostWrites)
            throw new IOException(AnotherFlushFailed);
    }

    // A guest whose disk is full or cut short can fail as many requests as it likes.
    private void Report(in BlockIo io, string reason)
    {
        try
        {
            long suppressed;
            lock (_budget)
            {
                if (!_budget.TrySpend(out suppressed))
                    return;
            }

            LogFailed(io.Kind, path, io.Offset, io.Length, reason, suppressed);
        }
#pragma warning disable CA1031 // the request's answer matters more than its line
        catch (Exception)
#pragma warning restore CA1031
        {
            // There is no log to say so.
        }
    }

    [LoggerMessage(1, LogLevel.Error, "{Operation} failed: '{Path}', {Length} bytes at byte {Offset}: {Reason} ({Suppressed} lines left out before)")]
    private partial void LogFailed(BlockIoKind operation, string path, long offset, long length, string reason, long suppressed);
}
