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

/// <summary>What stays the same during an episode.</summary>
internal sealed record Setting(
    BlkifProtocol Protocol,
    int RingPageOrder,
    TargetMood Mood,
    bool IsReadOnly,
    int SectorSize,
    int MaxRequests,
    int MaxIndirectRequests,
    GuestMemoryAccess GuestMemory,
    bool SaysPersistent)
{
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
        random.Next(4) != 0);
}
