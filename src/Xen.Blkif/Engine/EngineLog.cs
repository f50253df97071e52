using Microsoft.Extensions.Logging;
using Xen.Blkif.Diagnostics;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Engine;

/// <summary>What an engine has to say to the operator, at a rate that the guest cannot raise.</summary>
internal sealed partial class EngineLog(ILogger logger, string device)
{
    private readonly LogBudget _budget = new();

    public void Refused(Refusal refusal, byte operation, ulong sector)
    {
        if (_budget.TrySpend(out long suppressed))
            LogRefused(device, refusal, operation, sector, suppressed);
    }

    public void TargetThrew(Exception exception)
    {
        if (_budget.TrySpend(out long suppressed))
            LogTargetThrew(exception, device, suppressed);
    }

    [LoggerMessage(10, LogLevel.Warning, "{Device}: request refused: {Refusal} (operation {Operation}, sector {Sector}; {Suppressed} lines left out before)")]
    private partial void LogRefused(string device, Refusal refusal, byte operation, ulong sector, long suppressed);

    [LoggerMessage(11, LogLevel.Error, "{Device}: the target threw instead of failing a request ({Suppressed} lines left out before)")]
    private partial void LogTargetThrew(Exception exception, string device, long suppressed);
}
