using System.Net.Sockets;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Xen.Blkif.Samples.Host.Status;

/// <summary>Tells whoever connects to this process's socket about its disks: one document, then the connection is closed.</summary>
internal sealed partial class StatusServer : IAsyncDisposable
{
    private const int MaxClients = 16;
    private const int Backlog = 128;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Func<IReadOnlyList<DiskReport>> _disks;
    private readonly ILogger _logger;
    private readonly string _path;
    private readonly Socket _listener;
    private readonly CancellationTokenSource _ending = new();
    private readonly SemaphoreSlim _places = new(MaxClients);
    private readonly Task _serving;

    private StatusServer(string path, Socket listener, Func<IReadOnlyList<DiskReport>> disks, ILogger logger)
    {
        _path = path;
        _listener = listener;
        _disks = disks;
        _logger = logger;
        _serving = Task.Run(ServeAsync);
    }

    /// <summary>Starts to listen.</summary>
    /// <param name="folder">The folder of the sockets, which is made where it is missing.</param>
    /// <param name="disks">Says what is served now. Any thread.</param>
    /// <param name="logs">Hears of a socket that cannot be made, which is no reason not to serve disks.</param>
    /// <returns>Null where the socket cannot be made.</returns>
    public static StatusServer? TryStart(string folder, Func<IReadOnlyList<DiskReport>> disks, ILoggerFactory logs)
    {
        ILogger logger = logs.CreateLogger<StatusServer>();
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            StatusFolder.Make(folder);
            return new StatusServer(Listen(listener, folder), listener, disks, logger);
        }
        catch (Exception e) when (e is SocketException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            listener.Dispose();
            LogNoSocket(logger, folder, e.Message);
            return null;
        }
    }

    /// <summary>Ends the conversations and removes the socket.</summary>
    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await _serving;
        for (int client = 0; client < MaxClients; client++)
            await _places.WaitAsync();
        try
        {
            File.Delete(_path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogNotRemoved(_path, e.Message);
        }

        _listener.Dispose();
        _places.Dispose();
        _ending.Dispose();
    }

    // It gets its name when it listens: one that refuses is taken for that of a process that died, and removed.
    private static string Listen(Socket listener, string folder)
    {
        string path = Path.Combine(folder, $"{Environment.ProcessId}.sock");
        string unready = path + ".new";
        File.Delete(unready);
        listener.Bind(new UnixDomainSocketEndPoint(unready));
        listener.Listen(Backlog);
        File.Move(unready, path, overwrite: true);
        return path;
    }

    private async Task ServeAsync()
    {
        while (!_ending.IsCancellationRequested)
        {
            await _places.WaitAsync();
            try
            {
                _ = AnswerAsync(await _listener.AcceptAsync(_ending.Token));
                continue;
            }
            catch (OperationCanceledException)
            {
                // The end.
            }
            catch (SocketException e)
            {
                // No file descriptor is left, for example: that may pass.
                LogNotAnswered(e.Message);
                await Task.WhenAny(Task.Delay(TimeSpan.FromSeconds(5), _ending.Token));
            }

            _places.Release();
        }
    }

    // A client that does not read costs a place for as long as patience lasts.
    private async Task AnswerAsync(Socket client)
    {
        try
        {
            await Task.Yield();
            await using var stream = new NetworkStream(client, ownsSocket: true);
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(_ending.Token);
            patience.CancelAfter(Patience);
            var report = new ProcessReport(Environment.ProcessId, _disks());
            await stream.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(report, ReportJson.Default.ProcessReport), patience.Token);
        }
#pragma warning disable CA1031 // whatever goes wrong here must not cost a guest its disk
        catch (Exception e)
#pragma warning restore CA1031
        {
            LogNotAnswered(e.Message);
        }
        finally
        {
            _places.Release();
        }
    }

    [LoggerMessage(60, LogLevel.Warning, "no socket in {Folder} for 'xen-blkif list': {Reason}")]
    private static partial void LogNoSocket(ILogger logger, string folder, string reason);

    [LoggerMessage(62, LogLevel.Debug, "{Path} cannot be removed: {Reason}")]
    private partial void LogNotRemoved(string path, string reason);

    [LoggerMessage(61, LogLevel.Debug, "a client of the status socket was not answered: {Reason}")]
    private partial void LogNotAnswered(string reason);
}
