namespace Xen.Blkif.PerfTests.Ring;

/// <summary>A backend of a <see cref="RingGuest"/>, on nothing: no storage is asked, and no data is copied.</summary>
internal interface IRingBackend : IDisposable
{
    /// <summary>Requests that were done, of those that were answered.</summary>
    long Done { get; }

    /// <summary>
    /// Serves a frontend that does next to nothing: every slot of the ring holds the same request from the start, of which a response overwrites
    /// the first 16 bytes. The frontend announces a batch, rings, and puts those bytes back; their slot is read again one trip around the ring
    /// later.
    /// </summary>
    /// <param name="batch">Requests announced at once; a divisor of <paramref name="requests"/>, less than the slots of the ring.</param>
    /// <param name="requests">Requests in all.</param>
    void Run(int batch, int requests);

    /// <summary>Announces requests that lie in the ring, and rings once.</summary>
    /// <param name="requests">How many.</param>
    void Serve(int requests);
}
