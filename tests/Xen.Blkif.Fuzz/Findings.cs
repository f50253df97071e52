using System.Collections.Concurrent;

namespace Xen.Blkif.Fuzz;

/// <summary>What an episode found wrong, each thing once. Any thread.</summary>
internal sealed class Findings
{
    private readonly ConcurrentDictionary<string, bool> _all = new(StringComparer.Ordinal);

    public bool Any => !_all.IsEmpty;

    public string[] All => [.. _all.Keys];

    public void Add(string finding) => _all.TryAdd(finding, true);

    public void Check(bool holds, string finding)
    {
        if (!holds)
            Add(finding);
    }
}
