using Xen.Blkif.Hypervisor;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Backend;

/// <summary>What a device that is served writes into xenstore: its offer, its state, and why it was closed.</summary>
/// <remarks>
/// Never into nodes that a toolstack has removed: a write would bring them back, and they would stand in the way of the next attach. So
/// each write is a transaction that first looks whether the device is still there.
/// </remarks>
internal sealed class BackendNodes(IXenStore store, DevicePaths paths)
{
    /// <summary>Says what the disk is and can do, and waits for the frontend: whoever sees the state sees all of the offer.</summary>
    public void Offer(BlockTargetInfo info, ToolstackTerms terms, BackendOptions options) => Change(access =>
    {
        FeaturePublisher.Write(access, paths, info, terms, options);
        access.Write(paths.InBackend("hotplug-status"), "connected");
        access.Remove(paths.InBackend("hotplug-error"));
        paths.RemoveError(access);
        access.Write(paths.InBackend("state"), XenbusState.InitWait.ToText());
    });

    /// <summary>Tells the guest of a new size.</summary>
    /// <param name="sectors">In units of 512 bytes.</param>
    public void Resize(long sectors) => Change(access =>
    {
        FeaturePublisher.WriteSectors(access, paths, sectors);

        // The same value once more is what makes a connected frontend look. Anything else in there is a state that others ask for.
        string connected = XenbusState.Connected.ToText();
        if (string.Equals(access.Read(paths.InBackend("state")), connected, StringComparison.Ordinal))
            access.Write(paths.InBackend("state"), connected);
    });

    /// <summary>Announces a state, unless the node says so already.</summary>
    public void Announce(XenbusState state) => Change(access =>
    {
        // A write of the same value would fire every watch on it, our own among them.
        if (!string.Equals(access.Read(paths.InBackend("state")), state.ToText(), StringComparison.Ordinal))
            access.Write(paths.InBackend("state"), state.ToText());
    });

    /// <summary>Announces, with a device's last word, that it is closed; unless a toolstack has made it anew meanwhile.</summary>
    public void AnnounceEnd() => Change(access =>
    {
        if (XenbusStates.Parse(access.Read(paths.InBackend("state"))) is not (XenbusState.Initialising or XenbusState.Closed))
            access.Write(paths.InBackend("state"), XenbusState.Closed.ToText());
    });

    /// <summary>Leaves the reason of a failure where toolstacks look for it.</summary>
    public void Explain(string reason) => Change(access => access.Write(paths.Error, reason));

    /// <summary>Asks the guest for the disk, as a toolstack does.</summary>
    /// <returns>False where there is no such device.</returns>
    public bool RequestDetach() => Change(access =>
    {
        access.Write(paths.InBackend("online"), "0");
        access.Write(paths.InBackend("state"), XenbusState.Closing.ToText());
    });

    private bool Change(Action<IXenStoreAccess> change) => store.Transact(access =>
    {
        if (access.Read(paths.InBackend("frontend")) is null)
            return false;
        change(access);
        return true;
    });
}
