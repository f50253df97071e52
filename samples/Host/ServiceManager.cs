using System.Net.Sockets;
using System.Text;

namespace Xen.Blkif.Samples.Host;

/// <summary>Tells systemd how the daemon is doing, as sd_notify(3) describes it. Does nothing where no service manager listens.</summary>
internal static class ServiceManager
{
    public static void Tell(string state)
    {
        string? path = Environment.GetEnvironmentVariable("NOTIFY_SOCKET");
        if (string.IsNullOrEmpty(path))
            return;

        // A name that starts with @ is in the abstract namespace, whose names start with a zero.
        string address = path[0] == '@' ? '\0' + path[1..] : path;
        using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        try
        {
            socket.SendTo(Encoding.UTF8.GetBytes(state), new UnixDomainSocketEndPoint(address));
        }
        catch (SocketException)
        {
            // The service manager went away; the disks are served all the same.
        }
    }
}
