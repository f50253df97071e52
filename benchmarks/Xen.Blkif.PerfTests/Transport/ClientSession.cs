using System.Net.Sockets;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.PerfTests.Transport;

/// <summary>One client's ring, served until the client is gone.</summary>
internal static class ClientSession
{
    private const int MaxIndirectSegments = 256;

    /// <summary>Serves a client.</summary>
    /// <param name="socket">The connection, closed at the end.</param>
    /// <param name="target">The disk.</param>
    /// <param name="options">How.</param>
    /// <exception cref="HypervisorException">The client's greeting is no good, or its ring was not.</exception>
    public static async Task ServeAsync(Socket socket, IBlockTarget target, ServeOptions options)
    {
        using Socket connection = socket;
        Greeting greeting = Greeting.Receive(connection);
        using var memory = new ClientMemory(greeting.Memory, greeting.MemoryLength);
        greeting.Memory.Dispose();
        using var channel = new EventFdChannel(greeting.Kick, greeting.Call);
        int ringPages = 1 << greeting.RingPageOrder;
        GrantReference[] ring = [.. Enumerable.Range(0, ringPages).Select(page => new GrantReference((uint)page))];
        using RequestEngine engine = RequestEngine.Create(new EngineSettings
        {
            Protocol = BlkifProtocol.Native,
            RingAddress = memory.TryMap(0, ring, writable: true),
            RingLength = ringPages * XenPage.Size,
            Domain = 0,
            Grants = memory,
            Channel = channel,
            Target = target,
            Limits = target.Info.ToRequestLimits(MaxIndirectSegments),
            GuestMemory = options.GuestMemory,
            MaxPollTime = options.MaxPollTime,
            WaitsInTarget = true,
        });
        var failure = new TaskCompletionSource<Exception?>(TaskCreationOptions.RunContinuationsAsynchronously);
        EngineThread thread = Processor.On(options.Cpu, () => new EngineThread(engine, channel, "blkif queue", failure.SetResult));
        await connection.SendAsync("k"u8.ToArray());

        // A client says nothing more: what comes is the end.
        Task<int> end = connection.ReceiveAsync(new byte[1]);
        await Task.WhenAny(end, failure.Task);
        await thread.StopAsync();
        if (failure.Task.IsCompleted)
            throw new HypervisorException($"A ring is served no more: {(await failure.Task)?.Message ?? "its indices are impossible"}.");
    }
}
