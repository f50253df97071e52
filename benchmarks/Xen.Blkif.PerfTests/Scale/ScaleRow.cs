namespace Xen.Blkif.PerfTests.Scale;

/// <summary>What devices cost, and give.</summary>
/// <param name="Workload">Its name.</param>
/// <param name="IdleKib">Memory of the process for a device that has done nothing yet, in KiB, without what is the guest's.</param>
/// <param name="BusyKib">The same after a load.</param>
/// <param name="IdleCpuPercent">One processor's time that all devices together take while nothing happens.</param>
/// <param name="Iops">Requests a second, of all devices together.</param>
/// <param name="MegabytesPerSecond">In millions of bytes.</param>
internal sealed record ScaleRow(string Workload, double IdleKib, double BusyKib, double IdleCpuPercent, double Iops, double MegabytesPerSecond);
