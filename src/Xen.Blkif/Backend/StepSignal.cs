namespace Xen.Blkif.Backend;

/// <summary>Asks for another step. At most one request waits, however often a guest rewrites its nodes (XSA-349).</summary>
#pragma warning disable CA1001 // a semaphore whose handle nobody asks for holds nothing
internal sealed class StepSignal
#pragma warning restore CA1001
{
    private readonly SemaphoreSlim _waiting = new(0, 1);
    private int _raised;

    /// <summary>Asks for a step. Any thread, also from a watch's callback.</summary>
    public void Raise()
    {
        if (Interlocked.Exchange(ref _raised, 1) == 0)
            _waiting.Release();
    }

    /// <summary>Waits until a step is asked for, or the time is over.</summary>
    /// <param name="patience">How long at most.</param>
    public async Task WaitAsync(TimeSpan patience)
    {
        // Taken before the caller looks at the store: what changes from now on asks again.
        if (await _waiting.WaitAsync(patience).ConfigureAwait(false))
            Interlocked.Exchange(ref _raised, 0);
    }
}
