namespace Xen.Blkif.RealXen;

/// <summary>Who hears what goes on in the lab.</summary>
internal sealed class LabListener
{
    /// <summary>Hears what is going on.</summary>
    public required Action<string> Progress { get; init; }

    /// <summary>Hears every line that a script says, and the script's name. Null where nobody listens.</summary>
    public Action<string, string>? Line { get; init; }

    /// <summary>Hears how a script went, when it has ended.</summary>
    public required Action<string, ScenarioResult> Ended { get; init; }
}
