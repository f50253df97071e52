using System.Runtime.InteropServices;

namespace Xen.Blkif.Protocol;

/// <summary>The layouts ("ABIs") in which a frontend may speak.</summary>
public enum BlkifProtocol
{
    /// <summary>That of the host's own architecture.</summary>
    Native,

    /// <summary>64-bit integers aligned to 8 bytes: 64-bit x86 and every ARM.</summary>
    X64,

    /// <summary>64-bit integers aligned to 4 bytes: 32-bit x86.</summary>
    X86,
}

/// <summary>The names that xenstore has for the layouts.</summary>
public static class BlkifProtocols
{
    /// <summary>Reads the frontend's <c>protocol</c> key.</summary>
    /// <param name="name">Its value; <see langword="null"/> or empty where the frontend wrote none.</param>
    /// <param name="protocol">The layout.</param>
    /// <returns>False where the name is unknown.</returns>
    /// <remarks>
    /// A frontend that writes none is, on x86, one from the time when all guests had 32 bits (as QEMU and Linux also take it), else native.
    /// </remarks>
    public static bool TryParse(string? name, out BlkifProtocol protocol)
    {
        switch (name)
        {
            case "x86_64-abi":
            case "arm-abi":
                protocol = BlkifProtocol.X64;
                return true;
            case "x86_32-abi":
                protocol = BlkifProtocol.X86;
                return true;
            case null or "":
                protocol = RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.X86 ? BlkifProtocol.X86 : BlkifProtocol.Native;
                return true;
            default:
                protocol = default;
                return false;
        }
    }

    /// <summary>The value of the <c>protocol</c> key for a layout.</summary>
    /// <param name="protocol">The layout.</param>
    public static string NameOf(BlkifProtocol protocol) => Resolve(protocol) switch
    {
        BlkifProtocol.X86 => "x86_32-abi",
        _ => RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm ? "arm-abi" : "x86_64-abi",
    };

    /// <summary>Says which of the two layouts "native" is on this host.</summary>
    /// <param name="protocol">The layout.</param>
    /// <returns><see cref="BlkifProtocol.X64"/> or <see cref="BlkifProtocol.X86"/>.</returns>
    public static BlkifProtocol Resolve(BlkifProtocol protocol)
    {
        if (protocol != BlkifProtocol.Native)
            return protocol;
        return RuntimeInformation.ProcessArchitecture == Architecture.X86 ? BlkifProtocol.X86 : BlkifProtocol.X64;
    }
}
