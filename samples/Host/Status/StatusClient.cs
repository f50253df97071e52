using System.Net.Sockets;
using System.Text.Json;

namespace Xen.Blkif.Samples.Host.Status;

/// <summary>Asks all processes that serve disks about them.</summary>
internal static class StatusClient
{
    /// <param name="folder">The folder of the sockets.</param>
    /// <param name="patience">How long a process gets to answer.</param>
    /// <param name="warn">Hears of each that did not.</param>
    /// <returns>What they said. The sockets of processes that died are removed.</returns>
    public static async Task<IReadOnlyList<ProcessReport>> AskAllAsync(string folder, TimeSpan patience, Action<string> warn)
    {
        if (!Directory.Exists(folder))
            return [];

        var readable = new EnumerationOptions { IgnoreInaccessible = true };
        string[] sockets;
        try
        {
            sockets = Directory.GetFiles(folder, "*.sock", readable);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            warn(e.Message);
            return [];
        }

        ProcessReport?[] reports = await Task.WhenAll(sockets.Select(path => AskAsync(path, patience, warn)));
        return [.. reports.OfType<ProcessReport>()];
    }

    private static async Task<ProcessReport?> AskAsync(string path, TimeSpan patience, Action<string> warn)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        using var over = new CancellationTokenSource(patience);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), over.Token);
            await using var stream = new NetworkStream(socket);
            return await JsonSerializer.DeserializeAsync(stream, ReportJson.Default.ProcessReport, over.Token);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
        {
            RemoveStale(path);
            return null;
        }
        catch (Exception e) when (e is SocketException or IOException or JsonException or OperationCanceledException)
        {
            // One that ended meanwhile has taken its socket along.
            if (File.Exists(path))
                warn($"{path} does not answer: {e.Message}");
            return null;
        }
    }

    private static void RemoveStale(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It is in nobody's way, and the next one who may removes it.
        }
    }
}
