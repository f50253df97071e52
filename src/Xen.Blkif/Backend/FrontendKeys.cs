using System.Globalization;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Backend;

/// <summary>What a frontend says of its ring, read once and checked. Every value is one that a hostile guest may have chosen.</summary>
internal sealed class FrontendKeys
{
    private FrontendKeys(BlkifProtocol protocol, GrantReference[] ring, uint eventChannel)
    {
        Protocol = protocol;
        Ring = ring;
        EventChannel = eventChannel;
    }

    /// <summary>The layout that it speaks.</summary>
    public BlkifProtocol Protocol { get; }

    /// <summary>The pages of its ring, in order: 1, 2, 4, 8 or 16.</summary>
    public GrantReference[] Ring { get; }

    /// <summary>The port that it allocated.</summary>
    public uint EventChannel { get; }

    /// <summary>Reads the keys, as one state of the store.</summary>
    /// <exception cref="FrontendException">A key is missing or makes no sense.</exception>
    public static FrontendKeys Read(IXenStore store, DevicePaths paths, int maxRingPageOrder) =>
        store.Transact(access => Read(access, paths, maxRingPageOrder));

    private static FrontendKeys Read(IXenStoreAccess store, DevicePaths paths, int maxRingPageOrder)
    {
        string? name = store.Read(paths.InFrontend("protocol"));
        if (!BlkifProtocols.TryParse(name, out BlkifProtocol protocol))
            throw new FrontendException($"the frontend speaks '{Shorten(name)}', which is not x86_64-abi, x86_32-abi or arm-abi");

        // Where the order is present, even as 0, the references are numbered; else a ring-ref0 may be a leftover of an earlier driver.
        GrantReference[] ring;
        if (store.Read(paths.InFrontend("ring-page-order")) is { } orderText)
        {
            uint order = Number("ring-page-order", orderText);
            if (order > (uint)maxRingPageOrder)
                throw new FrontendException($"the frontend's ring-page-order is {order}, more than the {maxRingPageOrder} it was offered");
            ring = new GrantReference[1 << (int)order];
            for (int i = 0; i < ring.Length; i++)
                ring[i] = new GrantReference(NumberAt(string.Format(CultureInfo.InvariantCulture, "ring-ref{0}", i)));
        }
        else
        {
            ring = [new GrantReference(NumberAt("ring-ref"))];
        }

        return new FrontendKeys(protocol, ring, NumberAt("event-channel"));

        uint NumberAt(string key) => Number(key, store.Read(paths.InFrontend(key)));
    }

    // Decimal digits and nothing else: no sign, no space, no hexadecimal.
    private static uint Number(string key, string? text)
    {
        if (text is null)
            throw new FrontendException($"the frontend wrote no {key}");
        if (!uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint number))
            throw new FrontendException($"the frontend's {key} is '{Shorten(text)}', which is not a number from 0 to 4294967295");
        return number;
    }

    // The guest chose the text: the log gets little of it, and nothing that is not printable.
    private static string Shorten(string? text)
    {
        const int Longest = 40;
        text ??= "";
        char[] shown = text.Take(Longest).Select(c => c is >= ' ' and < '\x7f' ? c : '?').ToArray();
        return new string(shown) + (text.Length > Longest ? "…" : "");
    }
}

/// <summary>The frontend did what no honest frontend does. The message says what, as the end of a sentence.</summary>
internal sealed class FrontendException(string message) : Exception(message);
