using Microsoft.Extensions.Logging;

namespace Xen.Blkif.Backend;

/// <summary>What a device has to say to the operator: one line an event.</summary>
internal sealed partial class BackendLog(ILogger logger, string device)
{
    private readonly Diagnostics.LogBudget _budget = new();

    public void State(XenbusState state) => Guest(() => LogState(device, state));

    public void Connected(Protocol.BlkifProtocol protocol, int pages) => Guest(() => LogConnected(device, protocol, pages));

    public void Failed(string reason) => Guest(() => LogFailed(device, reason));

    public void StoreFailed(Exception exception) => Guest(() => LogStoreFailed(exception, device));

    public void MemoryKept() => LogMemoryKept(device);

    // A guest that walks its states in a loop causes each of these lines.
    private void Guest(Action line)
    {
        if (!_budget.TrySpend(out long suppressed))
            return;
        if (suppressed > 0)
            LogSuppressed(device, suppressed);
        line();
    }

    [LoggerMessage(20, LogLevel.Debug, "{Device}: state {State}")]
    private partial void LogState(string device, XenbusState state);

    [LoggerMessage(21, LogLevel.Information, "{Device}: connected, {Protocol} layout, {Pages} ring pages")]
    private partial void LogConnected(string device, Protocol.BlkifProtocol protocol, int pages);

    [LoggerMessage(22, LogLevel.Warning, "{Device}: closed: {Reason}")]
    private partial void LogFailed(string device, string reason);

    [LoggerMessage(23, LogLevel.Warning, "{Device}: xenstore")]
    private partial void LogStoreFailed(Exception exception, string device);

    [LoggerMessage(24, LogLevel.Information, "{Device}: {Suppressed} lines left out")]
    private partial void LogSuppressed(string device, long suppressed);

    [LoggerMessage(25, LogLevel.Error, "{Device}: the memory of requests that never came back is kept")]
    private partial void LogMemoryKept(string device);
}
