using Xen.Blkif.Engine;

namespace Xen.Blkif.PerfTests.Transport;

/// <summary>How clients are served.</summary>
/// <param name="Cpu">The processor that a queue's thread stays on; negative for any.</param>
/// <param name="GuestMemory">How the data gets to the target and back.</param>
internal sealed record ServeOptions(int Cpu, GuestMemoryAccess GuestMemory);
