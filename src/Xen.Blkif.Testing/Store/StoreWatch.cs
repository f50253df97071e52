using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>A registered watch. Its events are reported in the form in which it was registered, relative or absolute.</summary>
internal sealed class StoreWatch(StoreServer server, object connection, DomainId domain, string path, bool isRelative, Action<string> changed)
    : IDisposable
{
    private readonly int _prefix = isRelative ? StorePath.Home(domain).Length + 1 : 0;

    public object Connection => connection;

    public DomainId Domain => domain;

    /// <summary>The absolute path that is watched.</summary>
    public string Path => path;

    /// <summary>Absolute paths whose events are queued. Guarded by the lock of the dispatcher.</summary>
    public HashSet<string> Pending { get; } = [];

    /// <summary>Whether the callback may not be called any more. Guarded by the lock of the dispatcher.</summary>
    public bool IsClosed { get; set; }

    public void Report(string changedPath) => changed(changedPath.Substring(_prefix));

    public void Dispose() => server.Remove(this);
}
