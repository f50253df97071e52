using Xen.Blkif.PerfTests.Reference;

namespace Xen.Blkif.PerfTests.Compare;

/// <summary>A backend in a process of its own, under the load of <c>loadgen</c>.</summary>
internal sealed class BackendPeer : IPeer
{
    private readonly ChildProcess _backend;
    private readonly LoadGenerator _generator;
    private readonly ReferencePrograms _programs;
    private readonly Stand _stand;
    private readonly Workload _workload;
    private readonly string _transport;
    private readonly string _socket;

    private BackendPeer(string name, string transport, Stand stand, Workload workload, Func<string, IEnumerable<string>> command)
    {
        Name = name;
        _transport = transport;
        _stand = stand;
        _workload = workload;
        _programs = stand.Programs;
        _generator = new LoadGenerator(_programs, stand.ClientCpu);
        _socket = _programs.PathOf($"{name}.sock");
        File.Delete(_socket);
        string[] words = [.. command(_socket)];
        _backend = new ChildProcess(words[0], words[1..]);
    }

    public string Name { get; }

    /// <summary>This library, as this program serves it.</summary>
    public static BackendPeer Ours(Stand stand, Workload workload) => new("ours", "blkif", stand, workload, socket =>
    [
        .. ThisProgram.Command, "serve", "--socket", socket, "--file", stand.File, "--target", stand.Target.ToString(),
        "--cpu", $"{stand.BackendCpu}", .. workload.Direct ? new[] { "--direct" } : [],
    ]);

    /// <summary>QEMU's storage daemon, with io_uring and a thread for the export.</summary>
    public static BackendPeer Qemu(Stand stand, Workload workload) => new("qemu", "vhost", stand, workload, socket =>
    [
        "taskset", "-c", $"{stand.BackendCpu}", "qemu-storage-daemon",
        "--blockdev", $"driver=file,node-name=disk,filename={stand.File},aio=io_uring,cache.direct={(workload.Direct ? "on" : "off")}",
        "--object", "iothread,id=thread",
        "--export", $"type=vhost-user-blk,id=export,node-name=disk,addr.type=unix,addr.path={socket},writable=on,iothread=thread",
    ]);

    public async Task<Figures> RunAsync(int depth, double seconds)
    {
        await ReadyAsync();
        TimeSpan before = _backend.ProcessorTime;
        LoadGenerator.Report report = await LoadAsync([], depth, seconds);
        TimeSpan spent = _backend.ProcessorTime - before;
        return new Figures(
            report.Iops,
            report.MegabytesPerSecond,
            report.P50Us,
            report.P99Us,
            spent.TotalMicroseconds / report.Requests,
            report.KicksPerRequest,
            report.CallsPerRequest);
    }

    public async Task<double?> CountSystemCallsAsync(int depth, double seconds)
    {
        if (!Tools.Has("perf"))
            return null;
        string output = _programs.PathOf("system-calls");
        LoadGenerator.Report report = await LoadAsync(["perf", .. SystemCallCounter.OptionsFor(output, _backend.Id)], depth, seconds);
        return SystemCallCounter.Read(output) / report.Requests;
    }

    public void Dispose() => _backend.Dispose();

    private async Task<LoadGenerator.Report> LoadAsync(string[] under, int depth, double seconds)
    {
        string[] words = [.. under, .. _generator.Command(_transport, _socket, _stand.Bytes, _workload, depth, seconds)];
        using var client = new ChildProcess(words[0], words[1..]);
        return LoadGenerator.Parse(await client.EndAsync());
    }

    private async Task ReadyAsync()
    {
        while (!File.Exists(_socket))
        {
            if (_backend.HasEnded)
                await _backend.EndAsync();
            await Task.Delay(10);
        }
    }
}
