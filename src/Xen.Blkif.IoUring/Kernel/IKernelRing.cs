namespace Xen.Blkif.IoUring.Kernel;

/// <summary>A submission queue and a completion queue, and the system call between them. One thread uses it, not always the one that made it.</summary>
internal interface IKernelRing : IDisposable
{
    /// <summary>Entries that were put and that the kernel has not taken.</summary>
    int Pending { get; }

    /// <summary>Whether there are results to take.</summary>
    bool HasResults { get; }

    /// <summary>Whether there are results that the kernel shows only when it is called.</summary>
    bool HoldsResultsBack { get; }

    /// <summary>Puts an entry. There is room: nobody has more under way than the ring was made for.</summary>
    void Put(in SubmissionEntry entry);

    /// <summary>Takes the entry back that was put last.</summary>
    /// <returns>False where the kernel has taken all.</returns>
    bool TryWithdraw(out SubmissionEntry entry);

    /// <summary>Takes a result.</summary>
    bool TryTake(out CompletionEntry result);

    /// <summary>Calls the kernel.</summary>
    /// <param name="submit">How many entries it is to take, at most.</param>
    /// <param name="wait">How many results there are to be before it returns; 0 where it need not wait.</param>
    /// <param name="milliseconds">The longest wait; -1 for no limit.</param>
    /// <returns>How many entries it took; negative the number of an error where it took none, the end of the time among them.</returns>
    int Enter(int submit, int wait, int milliseconds);
}
