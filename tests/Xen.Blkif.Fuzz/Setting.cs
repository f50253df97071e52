using Xen.Blkif.Engine;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Fuzz;

/// <summary>How the storage of the hostile guest's disk behaves.</summary>
internal enum TargetMood
{
    /// <summary>Answers at once.</summary>
    Prompt,

    /// <summary>Answers on another thread, in any order.</summary>
    Late,

    /// <summary>Fails many requests, some at once and some late.</summary>
    Failing,

    /// <summary>Throws instead of answering some requests.</summary>
    Throwing,
}

/// <summary>How little memory there is for the guest's requests.</summary>
/// <param name="Budget">Bytes that all queues may take together.</param>
/// <param name="KeptPages">Pages of buffers that each keeps when it is idle.</param>
/// <param name="PersistentGrants">Pages of the guest's that stay mapped, for each queue.</param>
/// <param name="GrantMilliseconds">How long they do when no request uses them.</param>
internal sealed record MemorySetting(long Budget, int KeptPages, int PersistentGrants, int GrantMilliseconds)
{
    // The guest has some 40 pages: more than may stay mapped in most episodes.
    public static MemorySetting Draw(Random random) => new(
        random.Next(4) switch { 0 => 0, 1 => random.Next(1, 64) * 4096L, 2 => random.Next(1, 4) << 20, _ => long.MaxValue },
        random.Next(2) * random.Next(1024),
        random.Next(4) switch { 0 => 0, 1 => random.Next(1, 4), 2 => 16, _ => 64 },
        random.Next(3) switch { 0 => 1, 1 => 20, _ => 60_000 });
}

/// <summary>What stays the same during an episode.</summary>
/// <param name="Protocol">The layout of the rings.</param>
/// <param name="RingPageOrder">The binary logarithm of a ring's pages.</param>
/// <param name="Mood">How the storage behaves.</param>
/// <param name="IsReadOnly">Whether the storage is read-only.</param>
/// <param name="SectorSize">The storage's sectors, in bytes.</param>
/// <param name="MaxRequests">As in the options of a device.</param>
/// <param name="MaxIndirectRequests">As in the options of a device.</param>
/// <param name="GuestMemory">As in the options of a device.</param>
/// <param name="SaysPersistent">Whether the guest says that it uses persistent grants.</param>
/// <param name="Queues">That the guest makes when it connects as it should.</param>
/// <param name="OffersBarriers">As in the options of a device.</param>
/// <param name="KeepsState">Whether the disk survives that its backend is killed.</param>
/// <param name="Memory">How little memory there is.</param>
internal sealed record Setting(
    BlkifProtocol Protocol,
    int RingPageOrder,
    TargetMood Mood,
    bool IsReadOnly,
    int SectorSize,
    int MaxRequests,
    int MaxIndirectRequests,
    GuestMemoryAccess GuestMemory,
    bool SaysPersistent,
    int Queues,
    bool OffersBarriers,
    bool KeepsState,
    MemorySetting Memory)
{
    /// <summary>The most queues that the guest is offered.</summary>
    public const int MaxQueues = 4;

    public bool TargetIsSound => Mood is TargetMood.Prompt or TargetMood.Late;

    public static Setting Draw(Random random) => new(
        random.Next(2) == 0 ? BlkifProtocol.X64 : BlkifProtocol.X86,
        random.Next(3),
        (TargetMood)random.Next(4),
        random.Next(8) == 0,
        random.Next(4) == 0 ? 4096 : 512,
        random.Next(3) switch { 0 => 1, 1 => 5, _ => 0 },
        random.Next(3),
        (GuestMemoryAccess)random.Next(3),
        random.Next(4) != 0,
        random.Next(2) == 0 ? 1 : random.Next(2, MaxQueues + 1),
        random.Next(2) == 0,
        random.Next(2) == 0,
        MemorySetting.Draw(random));
}
