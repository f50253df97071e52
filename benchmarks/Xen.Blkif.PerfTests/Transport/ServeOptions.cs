using Xen.Blkif.Engine;

namespace Xen.Blkif.PerfTests.Transport;

/// <summary>How clients are served.</summary>
/// <param name="Cpu">The processor that a queue's thread stays on; negative for any.</param>
/// <param name="GuestMemory">How the data gets to the target and back.</param>
/// <param name="MaxPollTime">How long a queue looks for work before it sleeps, at most.</param>
internal sealed record ServeOptions(int Cpu, GuestMemoryAccess GuestMemory, TimeSpan MaxPollTime);
