using System.Globalization;
using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>Waits for a state node of the other half to have a value.</summary>
internal static class BackendState
{
    /// <summary>Waits.</summary>
    /// <param name="store">The store.</param>
    /// <param name="path">The node.</param>
    /// <param name="wanted">Whether a state will do. Called with <see cref="XenbusState.Unknown"/> where there is no node.</param>
    /// <param name="timeout">How long at most.</param>
    /// <returns>The state.</returns>
    /// <exception cref="TimeoutException">It did not come.</exception>
    public static async Task<XenbusState> WaitAsync(IXenStore store, string path, Func<XenbusState, bool> wanted, TimeSpan timeout)
    {
        using var changed = new SemaphoreSlim(0);
        using IDisposable watch = store.Watch(path, _ => changed.Release());
        using var patience = new CancellationTokenSource(timeout);
        while (true)
        {
            XenbusState state = Read(store, path);
            if (wanted(state))
                return state;
            try
            {
                await changed.WaitAsync(patience.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException e)
            {
                throw new TimeoutException($"The state at {path} is still {Read(store, path)} after {timeout.TotalSeconds:0.#} s.", e);
            }
        }
    }

    /// <summary>The state that a node has now; unknown where it is gone, which a guest cannot tell from a node that it may not read.</summary>
    public static XenbusState Read(IXenStore store, string path) =>
        int.TryParse(ReadText(store, path), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? (XenbusState)number : XenbusState.Unknown;

    /// <summary>The value that a node has now; <see langword="null"/> where it is gone.</summary>
    public static string? ReadText(IXenStore store, string path)
    {
        try
        {
            return store.Read(path);
        }
        catch (HypervisorException)
        {
            return null;
        }
    }
}
