using System.Globalization;

namespace Xen.Blkif.Backend;

/// <summary>The states through which the two halves of a device walk, each announcing its own in its <c>state</c> node.</summary>
/// <remarks>Source: <c>enum xenbus_state</c> in Xen's <c>public/io/xenbus.h</c>.</remarks>
public enum XenbusState
{
    /// <summary>No state, or none that makes sense.</summary>
    Unknown = 0,

    /// <summary>Made, not looked at yet.</summary>
    Initialising = 1,

    /// <summary>The backend has said what it offers and waits for the frontend.</summary>
    InitWait = 2,

    /// <summary>The frontend has said where its ring is.</summary>
    Initialised = 3,

    /// <summary>In use.</summary>
    Connected = 4,

    /// <summary>About to end.</summary>
    Closing = 5,

    /// <summary>Ended; may begin anew.</summary>
    Closed = 6,

    /// <summary>Being changed while in use.</summary>
    Reconfiguring = 7,

    /// <summary>Changed while in use.</summary>
    Reconfigured = 8,
}

/// <summary>The states as xenstore has them.</summary>
internal static class XenbusStates
{
    public static string ToText(this XenbusState state) => ((int)state).ToString(CultureInfo.InvariantCulture);

    /// <summary>Reads a state that the guest may have written: anything that is none is unknown.</summary>
    public static XenbusState Parse(string? text) =>
        text is { Length: 1 } && text[0] is >= '0' and <= '8' ? (XenbusState)(text[0] - '0') : XenbusState.Unknown;
}
