using Microsoft.Extensions.Logging;
using Xen.Blkif.Diagnostics;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Engine;

/// <summary>What an engine has to say to the operator, at a rate that the guest cannot raise.</summary>
/// <remarks>Thread-safe: the queues of a device share one, so that more of them buy no further lines.</remarks>
internal sealed partial class EngineLog(ILogger logger, string device)
{
    // What the storage does wrong must not be lost among what the guest does wrong.
    private readonly LogBudget _refusals = new();
    private readonly LogBudget _failures = new();

    public void Refused(Refusal refusal, byte operation, ulong sector)
    {
        if (MaySay(_refusals, out long suppressed))
            LogRefused(device, refusal, operation, sector, suppressed);
    }

    public void Failed(BlockRequestKind kind, long offset, long length, BlockStatus status)
    {
        if (MaySay(_failures, out long suppressed))
            LogFailed(device, kind, length, offset, status, suppressed);
    }

    public void TargetThrew(Exception exception)
    {
        if (MaySay(_failures, out long suppressed))
            LogTargetThrew(exception, device, suppressed);
    }

    public void OutOfMemory(int segments)
    {
        if (MaySay(_failures, out long suppressed))
            LogOutOfMemory(device, segments, suppressed);
    }

    public void NotUnmapped(int pages)
    {
        if (MaySay(_failures, out long suppressed))
            LogNotUnmapped(device, pages, suppressed);
    }

    private static bool MaySay(LogBudget budget, out long suppressed)
    {
        lock (budget)
            return budget.TrySpend(out suppressed);
    }

    [LoggerMessage(10, LogLevel.Warning, "{Device}: request refused: {Refusal} (operation {Operation}, sector {Sector}; {Suppressed} lines left out before)")]
    private partial void LogRefused(string device, Refusal refusal, byte operation, ulong sector, long suppressed);

    [LoggerMessage(11, LogLevel.Error, "{Device}: the target threw instead of failing a request ({Suppressed} lines left out before)")]
    private partial void LogTargetThrew(Exception exception, string device, long suppressed);

    [LoggerMessage(12, LogLevel.Error, "{Device}: {Kind} of {Length} bytes at byte {Offset} ended as {Status} ({Suppressed} lines left out before)")]
    private partial void LogFailed(string device, BlockRequestKind kind, long length, long offset, BlockStatus status, long suppressed);

    [LoggerMessage(13, LogLevel.Error, "{Device}: no memory for a request of {Segments} segments, which fails ({Suppressed} lines left out before)")]
    private partial void LogOutOfMemory(string device, int segments, long suppressed);

    [LoggerMessage(14, LogLevel.Error, "{Device}: {Pages} pages of the guest cannot be unmapped and stay with this process ({Suppressed} lines left out before)")]
    private partial void LogNotUnmapped(string device, int pages, long suppressed);
}
