using System.Net.Sockets;
using Xen.Blkif.Engine;
using Xen.Blkif.PerfTests.Compare;
using Xen.Blkif.PerfTests.Reference;
using Xen.Blkif.PerfTests.Transport;
using Xen.Blkif.Targets;
using Xen.Blkif.Tests;
using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.PerfTests.Tests.Transport;

/// <summary>The load generator in C against the backend in C#.</summary>
internal sealed class ServerTests
{
    private const int DiskBytes = 1 << 24;

    private ReferencePrograms _programs = null!;

    [OneTimeSetUp]
    public void Compile()
    {
        try
        {
            _programs = new ReferencePrograms();
        }
        catch (UserException e)
        {
            Requirement.IsMissing(e.Message.TrimEnd('.'));
        }
    }

    [OneTimeTearDown]
    public void Remove() => _programs?.Dispose();

    [Test]
    public async Task Every_request_of_a_load_is_done(
        [Values("randread", "randwrite", "read", "write")] string operation, [Values(4096, 45056, 1 << 20)] int block, [Values] GuestMemoryAccess memory)
    {
        using var folder = new TemporaryFolder();
        using var served = new Served(folder.PathOf("s"), memory);
        LoadGenerator.Report report = await RunAsync(folder.PathOf("s"), new Workload(operation, block, 8, Direct: true));
        Assert.That(report.Requests, Is.Positive);
        Assert.That(served.Errors.ToString(), Is.Empty);
    }

    [Test]
    public async Task A_client_that_greets_with_something_else_is_left_and_the_next_one_is_served()
    {
        using var folder = new TemporaryFolder();
        using var served = new Served(folder.PathOf("s"), GuestMemoryAccess.Copy);
        using (var stranger = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            await stranger.ConnectAsync(new UnixDomainSocketEndPoint(folder.PathOf("s")));
            await stranger.SendAsync("GET / HTTP/1.1\r\n\r\n"u8.ToArray());
            Assert.That(await ReceiveAsync(stranger), Is.Zero, "the end of the connection");
        }

        LoadGenerator.Report report = await RunAsync(folder.PathOf("s"), new Workload("randread", 4096, 1, Direct: true));
        Assert.That(report.Requests, Is.Positive);
        Assert.That(served.Errors.ToString(), Does.Contain("something else than a greeting"));
    }

    // A connection that is closed with bytes unread in it is reset.
    private static async Task<int> ReceiveAsync(Socket socket)
    {
        try
        {
            return await socket.ReceiveAsync(new byte[1]);
        }
        catch (SocketException)
        {
            return 0;
        }
    }

    private async Task<LoadGenerator.Report> RunAsync(string socket, Workload workload)
    {
        string[] words = new LoadGenerator(_programs, -1).Command("blkif", socket, DiskBytes, workload, workload.Depth, 0.05);
        using var client = new ChildProcess(words[0], words[1..]);
        return LoadGenerator.Parse(await client.EndAsync());
    }

    private sealed class Served : IDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly Server _server;
        private readonly Task _running;

        public Served(string socket, GuestMemoryAccess memory)
        {
            _server = new Server(socket, new MemoryTarget(DiskBytes), new ServeOptions(-1, memory, TimeSpan.Zero), TextWriter.Synchronized(Errors));
            _running = _server.RunAsync(_stop.Token);
        }

        public StringWriter Errors { get; } = new();

        public void Dispose()
        {
            _stop.Cancel();
            _running.Wait();
            _server.Dispose();
            _stop.Dispose();
        }
    }
}
