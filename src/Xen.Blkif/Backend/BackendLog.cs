using Microsoft.Extensions.Logging;

namespace Xen.Blkif.Backend;

/// <summary>What a device has to say to the operator: one line an event, at a rate that the guest cannot raise.</summary>
/// <remarks>Used by the device's own flow alone, one line after the other.</remarks>
internal sealed partial class BackendLog(ILogger logger, string device)
{
    // A guest that walks its states in a loop causes these lines. What went wrong has a budget of its own: it must not be lost among them.
    private readonly Diagnostics.LogBudget _states = new();
    private readonly Diagnostics.LogBudget _failures = new();

    public void State(XenbusState state)
    {
        if (logger.IsEnabled(LogLevel.Debug) && MaySay(_states))
            LogState(device, state);
    }

    public void Connected(BackendConnection agreed)
    {
        if (logger.IsEnabled(LogLevel.Information) && MaySay(_states))
            LogConnected(device, agreed.Protocol, agreed.QueueCount, agreed.RingPages);
    }

    public void TakenBack(BackendConnection agreed) => LogTakenBack(device, agreed.Protocol, agreed.QueueCount, agreed.RingPages);

    public void Failed(string reason)
    {
        if (MaySay(_failures))
            LogFailed(device, reason);
    }

    public void Resized(long length, long before)
    {
        string size = Diagnostics.BinarySize.Format(length);
        long sectors = length / Protocol.BlkifLimits.SectorSize;
        if (length > before)
            LogGrown(device, size, sectors);
        else
            LogShrunk(device, size, sectors, Diagnostics.BinarySize.Format(before));
    }

    public void LengthKept(long length, Exception exception) => LogLengthKept(exception, device, Diagnostics.BinarySize.Format(length));

    public void StoreFailed(Exception exception)
    {
        if (MaySay(_failures))
            LogStoreFailed(exception, device);
    }

    public void TargetNotClosed(Exception exception)
    {
        if (MaySay(_failures))
            LogTargetNotClosed(exception, device);
    }

    public void MemoryKept()
    {
        if (MaySay(_failures))
            LogMemoryKept(device);
    }

    public void NodesLeft(Exception exception) => LogNodesLeft(exception, device);

    private bool MaySay(Diagnostics.LogBudget budget)
    {
        if (!budget.TrySpend(out long suppressed))
            return false;
        if (suppressed > 0)
            LogSuppressed(device, suppressed);
        return true;
    }

    [LoggerMessage(20, LogLevel.Debug, "{Device}: state {State}")]
    private partial void LogState(string device, XenbusState state);

    [LoggerMessage(21, LogLevel.Information, "{Device}: connected, {Protocol} layout, queues: {Queues}, ring pages of each: {Pages}")]
    private partial void LogConnected(string device, Protocol.BlkifProtocol protocol, int queues, int pages);

    [LoggerMessage(22, LogLevel.Warning, "{Device}: closed: {Reason}")]
    private partial void LogFailed(string device, string reason);

    [LoggerMessage(23, LogLevel.Warning, "{Device}: xenstore failed, trying again")]
    private partial void LogStoreFailed(Exception exception, string device);

    [LoggerMessage(24, LogLevel.Information, "{Device}: {Suppressed} lines left out")]
    private partial void LogSuppressed(string device, long suppressed);

    [LoggerMessage(25, LogLevel.Error, "{Device}: the memory of requests that never came back is kept")]
    private partial void LogMemoryKept(string device);

    [LoggerMessage(26, LogLevel.Error, "{Device}: the target threw when its queue was closed")]
    private partial void LogTargetNotClosed(Exception exception, string device);

    [LoggerMessage(27, LogLevel.Error, "{Device}: the last writes to xenstore failed, its nodes may be left behind")]
    private partial void LogNodesLeft(Exception exception, string device);

    [LoggerMessage(28, LogLevel.Information, "{Device}: size is now {Size} ({Sectors} sectors)")]
    private partial void LogGrown(string device, string size, long sectors);

    [LoggerMessage(29, LogLevel.Warning, "{Device}: size is now {Size} ({Sectors} sectors), less than the {Before} before: the guest has lost what was beyond")]
    private partial void LogShrunk(string device, string size, long sectors, string before);

    [LoggerMessage(30, LogLevel.Warning, "{Device}: size stays {Size}: the target does not say a size that a disk can have")]
    private partial void LogLengthKept(Exception exception, string device, string size);

    [LoggerMessage(31, LogLevel.Information, "{Device}: taken back from a process that was killed, {Protocol} layout, queues: {Queues}, ring pages of each: {Pages}")]
    private partial void LogTakenBack(string device, Protocol.BlkifProtocol protocol, int queues, int pages);
}
