using System.Net.Sockets;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Targets;

namespace Xen.Blkif.PerfTests.Transport;

/// <summary>Serves every client that connects to a Unix socket.</summary>
internal sealed class Server : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly string _path;
    private readonly IBlockTarget _target;
    private readonly ServeOptions _options;
    private readonly TextWriter _errors;

    /// <summary>Listens from now on.</summary>
    /// <param name="path">The socket, in whose place nothing may be yet.</param>
    /// <param name="target">The disk.</param>
    /// <param name="options">How clients are served.</param>
    /// <param name="errors">Hears of clients that were not.</param>
    /// <exception cref="UserException">The socket cannot be made.</exception>
    public Server(string path, IBlockTarget target, ServeOptions options, TextWriter errors)
    {
        _path = path;
        _target = target;
        _options = options;
        _errors = errors;
        try
        {
            _socket.Bind(new UnixDomainSocketEndPoint(path));
            _socket.Listen();
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            _socket.Dispose();
            throw new UserException($"The socket '{path}' cannot be made: {e.Message}. Remove what is left there of an earlier one.");
        }
    }

    /// <summary>Serves until told to stop.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        try
        {
            while (true)
                _ = ServeAsync(await _socket.AcceptAsync(stop));
        }
        catch (OperationCanceledException)
        {
            // Told to stop.
        }
    }

    public void Dispose()
    {
        _socket.Dispose();
        File.Delete(_path);
    }

    private async Task ServeAsync(Socket client)
    {
        try
        {
            await Task.Run(() => ClientSession.ServeAsync(client, _target, _options));
        }
        catch (Exception e) when (e is HypervisorException or SocketException or UserException)
        {
            await _errors.WriteLineAsync(e.Message);
        }
    }
}
