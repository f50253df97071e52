namespace Xen.Blkif.PerfTests.Scale;

/// <summary>What devices cost, and give.</summary>
/// <param name="Workload">Its name.</param>
/// <param name="BackendIdleKib">
/// Anonymous memory in KiB that the backend of a connected device takes that has done nothing yet: what goes with it, while its guest stays.
/// </param>
/// <param name="BackendBusyKib">The same after a load and under one, with the data of all requests under way; see <see cref="FleetMemory"/>.</param>
/// <param name="IdleCpuPercent">One processor's time that all devices together take while nothing happens.</param>
/// <param name="Iops">Requests a second, of all devices together.</param>
/// <param name="MegabytesPerSecond">In millions of bytes.</param>
internal sealed record ScaleRow(string Workload, double BackendIdleKib, double BackendBusyKib, double IdleCpuPercent, double Iops, double MegabytesPerSecond);
