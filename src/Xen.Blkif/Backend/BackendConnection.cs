using Xen.Blkif.Engine;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Backend;

/// <summary>What a frontend and its backend have agreed on.</summary>
/// <param name="Protocol">The layout of the requests, as the frontend named it.</param>
/// <param name="RingPages">The pages of each ring: 1, 2, 4, 8 or 16.</param>
/// <param name="EventChannels">The guest's port of each queue.</param>
/// <param name="GuestMemory">How the data of requests gets to the target and back.</param>
/// <remarks>Immutable: a guest that connects again gets another one.</remarks>
public sealed record BackendConnection(BlkifProtocol Protocol, int RingPages, IReadOnlyList<uint> EventChannels, GuestMemoryAccess GuestMemory)
{
    /// <summary>The queues, each with a ring of its own.</summary>
    public int QueueCount => EventChannels.Count;
}
