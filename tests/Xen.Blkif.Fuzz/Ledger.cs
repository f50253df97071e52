using Xen.Blkif.Protocol;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Fuzz;

/// <summary>How a request must end.</summary>
internal enum Ending
{
    /// <summary>In either way.</summary>
    Any,

    /// <summary>With success.</summary>
    Success,

    /// <summary>Refused or failed.</summary>
    Failure,
}

/// <summary>Holds the responses of one ring against its requests: one for each, with its id and its operation.</summary>
/// <param name="findings">Hears what is wrong.</param>
/// <param name="ring">The number of the ring, 0 to 15.</param>
internal sealed class Ledger(Findings findings, int ring = 0)
{
    private readonly Dictionary<ulong, (byte Operation, byte InnerOperation, Ending Ending)> _open = [];
    private ulong _made;

    /// <summary>Requests without a response.</summary>
    public int Open => _open.Count;

    /// <summary>Responses that were held against their requests, since the first ring that had this number.</summary>
    public long Closed { get; private set; }

    /// <summary>Whether the guest has written over its own requests and responses, so that nothing can be said of them any more.</summary>
    public bool IsSpoiled { get; private set; }

    /// <summary>Notes a request.</summary>
    /// <param name="operation">The operation.</param>
    /// <param name="ending">How it must end.</param>
    /// <param name="innerOperation">What an indirect request is about, which its response may name instead.</param>
    /// <returns>Its id, which no other request of any ring has had, and of which any bit may be set.</returns>
    public ulong Add(byte operation, Ending ending, byte? innerOperation = null)
    {
        ulong id = ((++_made << 4) | (uint)ring) * 0x9E37_79B9_7F4A_7C15;
        _open.Add(id, (operation, innerOperation ?? operation, ending));
        return id;
    }

    /// <summary>Whether a request waits for its response.</summary>
    public bool IsOpen(ulong id) => _open.ContainsKey(id);

    /// <summary>Looks at a response.</summary>
    public void Close(in FrontendCompletion response)
    {
        if (IsSpoiled)
            return;

        if (!_open.Remove(response.Id, out (byte Operation, byte Inner, Ending Ending) request))
        {
            findings.Add($"a response has the id of no request that waits for one: {response}");
            return;
        }

        Closed++;
        byte operation = (byte)response.Operation;
        findings.Check(operation == request.Operation || operation == request.Inner, $"operation {request.Operation} was answered as {operation}");
        findings.Check(
            response.Status is BlkifStatus.Okay or BlkifStatus.Error or BlkifStatus.NotSupported, $"operation {operation} was answered with status {(short)response.Status}");
        if (request.Ending != Ending.Any)
        {
            findings.Check(
                (response.Status == BlkifStatus.Okay) == (request.Ending == Ending.Success), $"operation {operation} ended with {response.Status}, and not in {request.Ending}");
        }
    }

    /// <summary>Something was changed under the requests that wait: they may end in either way.</summary>
    public void Doubt()
    {
        foreach (ulong id in _open.Keys.ToArray())
            _open[id] = _open[id] with { Ending = Ending.Any };
    }

    public void Spoil() => IsSpoiled = true;

    /// <summary>Begins anew, with another ring.</summary>
    public void Clear()
    {
        _open.Clear();
        IsSpoiled = false;
    }
}
