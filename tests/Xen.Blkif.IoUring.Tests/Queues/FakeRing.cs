using Xen.Blkif.IoUring.Kernel;

namespace Xen.Blkif.IoUring.Tests.Queues;

/// <summary>A kernel that says what a test wants it to say, of what it was asked and of what it was not.</summary>
internal sealed class FakeRing : IKernelRing
{
    private readonly List<SubmissionEntry> _put = [];
    private readonly Queue<CompletionEntry> _results = [];

    public int Pending => _put.Count;

    public bool HasResults => _results.Count > 0;

    public bool HoldsResultsBack => Held.Count > 0;

    /// <summary>Entries that the kernel has taken, in their order.</summary>
    public List<SubmissionEntry> Taken { get; } = [];

    /// <summary>What each call was asked: entries, results to wait for, milliseconds.</summary>
    public List<(int Submit, int Wait, int Milliseconds)> Calls { get; } = [];

    /// <summary>Results that show only when the kernel is called.</summary>
    public List<CompletionEntry> Held { get; } = [];

    /// <summary>What a call is answered with before it does anything; 0 lets it do what it is asked.</summary>
    public Func<int> Refusal { get; set; } = () => 0;

    /// <summary>What becomes of an entry that is taken: it may say a result at once.</summary>
    public Action<SubmissionEntry> OnTaken { get; set; } = _ => { };

    /// <summary>What happens while a call waits.</summary>
    public Action OnWait { get; set; } = () => { };

    /// <summary>The most entries that were ever with the kernel or about to be, without a result.</summary>
    public int MostUnderWay { get; private set; }

    /// <summary>Says a result.</summary>
    public void Say(ulong name, int result) => _results.Enqueue(new CompletionEntry(name, result, 0));

    /// <summary>Says a result of the entry that was taken last.</summary>
    public void SayLast(int result) => Say(Taken[^1].Name, result);

    public void Put(in SubmissionEntry entry)
    {
        _put.Add(entry);
        MostUnderWay = Math.Max(MostUnderWay, _put.Count);
    }

    public bool TryWithdraw(out SubmissionEntry entry)
    {
        entry = _put.LastOrDefault();
        if (_put.Count == 0)
            return false;
        _put.RemoveAt(_put.Count - 1);
        return true;
    }

    public bool TryTake(out CompletionEntry result) => _results.TryDequeue(out result);

    public int Enter(int submit, int wait, int milliseconds)
    {
        Calls.Add((submit, wait, milliseconds));
        if (Calls.Count > 1_000_000)
            throw new InvalidOperationException("The kernel is called without end.");
        foreach (CompletionEntry held in Held)
            _results.Enqueue(held);
        Held.Clear();
        if (Refusal() is var refusal and not 0)
            return refusal;

        SubmissionEntry[] taken = [.. _put.Take(submit)];
        _put.RemoveRange(0, taken.Length);
        foreach (SubmissionEntry entry in taken)
        {
            Taken.Add(entry);
            OnTaken(entry);
        }

        if (wait > 0 && _results.Count == 0)
            OnWait();
        return taken.Length > 0 || wait == 0 || _results.Count > 0 ? taken.Length : -Interop.TimeError;
    }

    public void Dispose()
    {
        // It is memory only.
    }
}
