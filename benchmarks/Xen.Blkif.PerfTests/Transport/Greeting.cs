using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Rings;

namespace Xen.Blkif.PerfTests.Transport;

/// <summary>What a client sends first: see <c>loadgen_blkif.c</c>.</summary>
internal sealed record Greeting(int RingPageOrder, long MemoryLength, SafeFileHandle Memory, SafeFileHandle Kick, SafeFileHandle Call)
{
    private const ulong Magic = 0x424c4b49;
    private const int Numbers = 4;

    /// <summary>Waits for it.</summary>
    /// <exception cref="HypervisorException">It is something else.</exception>
    public static unsafe Greeting Receive(Socket socket)
    {
        ulong* numbers = stackalloc ulong[Numbers];
        LibC.Vector vector = new() { Start = numbers, Length = Numbers * sizeof(ulong) };
        LibC.ThreeDescriptors descriptors = default;
        LibC.MessageHeader message = new()
        {
            Vectors = &vector, VectorCount = 1, Control = &descriptors, ControlLength = (nuint)sizeof(LibC.ThreeDescriptors),
        };
        nint received = LibC.ReceiveMessage(socket.SafeHandle, &message, LibC.ReceiveCloseOnExec);
        int count = descriptors is { Level: LibC.SolSocket, Type: LibC.ScmRights } ? ((int)descriptors.Length - 16) / sizeof(int) : 0;
        var files = new SafeFileHandle[Math.Clamp(count, 0, 3)];
        for (int i = 0; i < files.Length; i++)
            files[i] = new SafeFileHandle(descriptors.Values[i], ownsHandle: true);
        bool isComplete = received == Numbers * sizeof(ulong) && files.Length == 3 && numbers[0] == Magic;
        if (isComplete && numbers[1] <= RingSize.MaxPageOrder && numbers[2] is >= 65536 and <= 1ul << 40)
            return new Greeting((int)numbers[1], (long)numbers[2], files[0], files[1], files[2]);

        foreach (SafeFileHandle file in files)
            file.Dispose();
        throw new HypervisorException("A client sent something else than a greeting with memory and two eventfds.");
    }
}
