using Xen.Blkif.PerfTests.Reference;
using Xen.Blkif.PerfTests.Transport;

namespace Xen.Blkif.PerfTests.Compare;

/// <summary>What all runs have in common.</summary>
/// <param name="Programs">The programs in C.</param>
/// <param name="File">The disk.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Target">What serves it on our side.</param>
/// <param name="BackendCpu">The processor of backends, and of fio.</param>
/// <param name="ClientCpu">The processor of the client.</param>
internal sealed record Stand(ReferencePrograms Programs, string File, long Bytes, DiskTarget Target, int BackendCpu, int ClientCpu)
{
    /// <summary>Keeps both processors awake until the result is disposed.</summary>
    public IDisposable StayAwake() => new Spinners(
        [.. new[] { BackendCpu, ClientCpu }.Distinct().Select(cpu => new ChildProcess(Programs.IdleSpinner, $"{cpu}"))]);

    private sealed class Spinners(IReadOnlyList<ChildProcess> spinners) : IDisposable
    {
        public void Dispose()
        {
            foreach (ChildProcess spinner in spinners)
                spinner.Dispose();
        }
    }
}
