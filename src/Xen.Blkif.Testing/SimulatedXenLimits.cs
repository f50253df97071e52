namespace Xen.Blkif.Testing;

/// <summary>
/// What a <see cref="SimulatedXen"/> allows. Each number may be changed at any time and holds for what is asked for afterwards.
/// </summary>
public sealed class SimulatedXenLimits
{
    /// <summary>
    /// Entries in the grant table of a guest, the 8 reserved ones included. Read when the guest is created. 8192 unless set.
    /// </summary>
    public int GrantEntries { get; set; } = 8192;

    /// <summary>Pages that the backend domain may have mapped at once, from all guests together. 1,048,576 (4 GiB) unless set.</summary>
    public int MappedPages { get; set; } = 1 << 20;

    /// <summary>Nodes of the store that a domain other than 0 may own. 1000 unless set, as in xenstored.</summary>
    public int StoreNodes { get; set; } = 1000;

    /// <summary>Watches that a domain other than 0 may have. 128 unless set, as in xenstored.</summary>
    public int StoreWatches { get; set; } = 128;

    /// <summary>
    /// The longest time in microseconds that a wait for an event looks again and again before the thread gives up its processor.
    /// 5 unless set; 0 blocks at once.
    /// </summary>
    public int WaitSpinMicroseconds { get; set; } = 5;
}
