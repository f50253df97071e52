using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Xen.Blkif.IoUring.Kernel;

/// <summary>A ring of the kernel's, by system calls alone.</summary>
internal sealed unsafe class KernelRing : IKernelRing
{
    private const uint OverflownFlag = 1 << 1, WorkFlag = 1 << 2; // IORING_SQ_CQ_OVERFLOW, IORING_SQ_TASKRUN
    private const uint GetResults = 1 << 0, ExtendedArgument = 1 << 3; // IORING_ENTER_GETEVENTS, IORING_ENTER_EXT_ARG
    private const int EnableRings = 12; // IORING_REGISTER_ENABLE_RINGS
    private const long EntriesPart = 0x10000000; // IORING_OFF_SQES

    // The best first. A kernel refuses a flag that it does not know: those of 6.1, of 5.19 and none.
    private static readonly SetupFlags[] Manners =
    [
        SetupFlags.SingleIssuer | SetupFlags.DeferredWork | SetupFlags.FlagsWork | SetupFlags.Disabled,
        SetupFlags.CooperativeWork | SetupFlags.FlagsWork,
        SetupFlags.None,
    ];

    private readonly SafeFileHandle _handle;
    private readonly RingMapping _queues;
    private readonly RingMapping _entries;
    private readonly int _descriptor;
    private readonly SubmissionEntry* _submissions;
    private readonly uint* _submissionHead;
    private readonly uint* _submissionTail;
    private readonly uint* _submissionFlags;
    private readonly uint _submissionMask;
    private readonly CompletionEntry* _completions;
    private readonly uint* _completionHead;
    private readonly uint* _completionTail;
    private readonly uint _completionMask;
    private bool _disabled;

    private KernelRing(SafeFileHandle handle, RingMapping queues, RingMapping entries, in SetupParameters parameters)
    {
        _handle = handle;
        _queues = queues;
        _entries = entries;
        _descriptor = (int)handle.DangerousGetHandle();
        _disabled = parameters.Flags.HasFlag(SetupFlags.Disabled);
        nint start = queues.Address;
        _submissions = (SubmissionEntry*)entries.Address;
        _submissionHead = (uint*)(start + (nint)parameters.Submission.Head);
        _submissionTail = (uint*)(start + (nint)parameters.Submission.Tail);
        _submissionFlags = (uint*)(start + (nint)parameters.Submission.Flags);
        _submissionMask = *(uint*)(start + (nint)parameters.Submission.Mask);
        _completions = (CompletionEntry*)(start + (nint)parameters.Completion.Results);
        _completionHead = (uint*)(start + (nint)parameters.Completion.Head);
        _completionTail = (uint*)(start + (nint)parameters.Completion.Tail);
        _completionMask = *(uint*)(start + (nint)parameters.Completion.Mask);

        // Places in the queue of submissions name entries by index; each names the one beside it, for good.
        uint* places = (uint*)(start + (nint)parameters.Submission.Array);
        for (uint i = 0; i < parameters.SubmissionEntries; i++)
            places[i] = i;
    }

    /// <inheritdoc/>
    // Acquire: an entry is written anew only when the kernel has read it.
    public int Pending => (int)(*_submissionTail - Volatile.Read(ref *_submissionHead));

    /// <inheritdoc/>
    public bool HasResults => *_completionHead != Volatile.Read(ref *_completionTail);

    /// <inheritdoc/>
    public bool HoldsResultsBack => (Volatile.Read(ref *_submissionFlags) & (OverflownFlag | WorkFlag)) != 0;

    /// <summary>Makes a ring.</summary>
    /// <param name="entries">How many requests there may be under way at once, at least.</param>
    /// <param name="refusal">Why there is none.</param>
    /// <returns>The ring; null where the system has none.</returns>
    public static KernelRing? TryOpen(int entries, out string refusal)
    {
        refusal = "";
        SetupParameters parameters = default;
        int descriptor = -Interop.InvalidError;
        foreach (SetupFlags manner in Manners)
        {
            parameters = new SetupParameters { Flags = manner };
            descriptor = OperatingSystem.IsLinux() ? Interop.Setup(entries, &parameters) : -Interop.NoSystemCallError;
            if (descriptor != -Interop.InvalidError)
                break;
        }

        if (descriptor < 0)
        {
            refusal = Refusal.Of(-descriptor);
            return null;
        }

        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        if ((parameters.Features & Features.Needed) != Features.Needed)
        {
            handle.Dispose();
            refusal = "the io_uring of this kernel is older than Linux 5.11";
            return null;
        }

        nuint submissions = parameters.Submission.Array + ((nuint)parameters.SubmissionEntries * sizeof(uint));
        nuint completions = parameters.Completion.Results + ((nuint)parameters.CompletionEntries * (nuint)sizeof(CompletionEntry));
        var queues = new RingMapping(descriptor, nuint.Max(submissions, completions), 0);
        var memory = new RingMapping(descriptor, (nuint)parameters.SubmissionEntries * (nuint)sizeof(SubmissionEntry), EntriesPart);
        if (!queues.IsInvalid && !memory.IsInvalid)
            return new KernelRing(handle, queues, memory, parameters);

        refusal = $"its memory cannot be mapped (error {Marshal.GetLastPInvokeError()})";
        queues.Dispose();
        memory.Dispose();
        handle.Dispose();
        return null;
    }

    /// <inheritdoc/>
    public void Put(in SubmissionEntry entry)
    {
        uint tail = *_submissionTail;
        _submissions[tail & _submissionMask] = entry;

        // Release: the entry is complete before the index that covers it. Pairs with the kernel's load of the tail.
        Volatile.Write(ref *_submissionTail, tail + 1);
    }

    /// <inheritdoc/>
    public bool TryWithdraw(out SubmissionEntry entry)
    {
        entry = default;
        if (Pending == 0)
            return false;

        // The kernel reads the tail in a call only: no other thread of it looks at the queue.
        entry = _submissions[--*_submissionTail & _submissionMask];
        return true;
    }

    /// <inheritdoc/>
    public bool TryTake(out CompletionEntry result)
    {
        uint head = *_completionHead;

        // Acquire: the result is read after the index that announces it. Pairs with the kernel's store of the tail.
        if (head == Volatile.Read(ref *_completionTail))
        {
            result = default;
            return false;
        }

        result = _completions[head & _completionMask];

        // Release: the place is the kernel's only when it has been read.
        Volatile.Write(ref *_completionHead, head + 1);
        return true;
    }

    /// <inheritdoc/>
    public int Enter(int submit, int wait, int milliseconds)
    {
        if (_disabled && Enable() is var refused and < 0)
            return refused;

        // Asked for also where nothing is waited for: then the kernel finishes what is done already.
        if (wait == 0 || milliseconds < 0)
            return Interop.Enter(_descriptor, submit, wait, GetResults, null, 0);

        var time = new KernelTime { Seconds = milliseconds / 1000, Nanoseconds = milliseconds % 1000 * 1_000_000L };
        var argument = new WaitArgument { Time = (ulong)&time };
        return Interop.Enter(_descriptor, submit, wait, GetResults | ExtendedArgument, &argument, sizeof(WaitArgument));
    }

    public void Dispose()
    {
        _entries.Dispose();
        _queues.Dispose();
        _handle.Dispose();
    }

    // By the thread that submits, which is the only one from now on.
    private int Enable()
    {
        int result = Interop.Register(_descriptor, EnableRings);
        _disabled = result < 0;
        return result;
    }

    /// <summary><c>struct __kernel_timespec</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct KernelTime
    {
        public long Seconds;
        public long Nanoseconds;
    }

    /// <summary><c>struct io_uring_getevents_arg</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct WaitArgument
    {
        public ulong SignalMask;
        public uint SignalMaskLength;
        public uint Reserved;
        public ulong Time;
    }
}
