using Xen.Blkif.IoUring.Kernel;
using Xen.Blkif.Targets;
using Xen.Blkif.Targets.Files;

namespace Xen.Blkif.IoUring.Queues;

/// <summary>Requests to a file by a ring of the kernel's. The slot's index is the request's name there.</summary>
/// <remarks>
/// One thread owns it and the ring. A slot has one entry at most with the kernel, so that there is always room for another. What comes back is
/// checked like anything from outside: a result is that of a request under way, asked for last, and no longer than what was asked, or it
/// changes nothing. What the ring can only hand to a thread that waits for the storage, and block devices cannot do at all, is for
/// another queue. How it waits is in <c>RingQueue.Waiting.cs</c>, what it does with results in <c>RingQueue.Results.cs</c>.
/// </remarks>
internal sealed partial class RingQueue : IWaitableQueue
{
    // More at once keep the first waiting for the last, fewer cost more calls: 64 was slower by a quarter, 2 by a tenth, 4 and 16 were level.
    private const int MostPerCall = 8;

    // With so many requests the kernel has something to do until the owner's next call, and nobody looks for their results without one.
    private const int Busy = 2;

    // A kernel without memory gets about so many milliseconds to find some; then its requests fail.
    private const int MostRefusals = 1000;

    private readonly IKernelRing _ring;
    private readonly FileIo _io;
    private readonly InlineIo? _inline;
    private readonly IBlockQueue? _others;
    private readonly IBlockCompletions _completions;
    private readonly int _descriptor;
    private readonly RingSlot[] _slots;

    // Slots whose results came and were not brought to the completions yet.
    private readonly int[] _arrived;
    private int _arrivedCount;
    private bool _plugged;
    private int _refusals;

    // Slots that the kernel has a request of, or is about to.
    private int _underWay;

    /// <summary>Makes a queue. The ring goes with it.</summary>
    /// <param name="ring">A ring for as many entries as <paramref name="depth"/> and the two of the signals.</param>
    /// <param name="io">Does what is not for the ring, and hears what failed there.</param>
    /// <param name="descriptor">The file's.</param>
    /// <param name="inline">What is tried before the ring; null for nothing.</param>
    /// <param name="others">Takes discards that are none of a file's; null for a file. Goes with this.</param>
    /// <param name="depth">Slots.</param>
    /// <param name="completions">Where results go.</param>
    /// <param name="signals">What else is waited for.</param>
    public RingQueue(
        IKernelRing ring, FileIo io, int descriptor, InlineIo? inline, IBlockQueue? others, int depth, IBlockCompletions completions, Signals signals)
    {
        _ring = ring;
        _io = io;
        _descriptor = descriptor;
        _inline = inline;
        _others = others;
        _completions = completions;
        _signals = signals;
        _slots = new RingSlot[depth];
        _arrived = new int[depth];
    }

    /// <inheritdoc/>
    public BlockStatus Submit(in BlockIo io)
    {
        if (_others is not null && io.Kind is BlockIoKind.Discard or BlockIoKind.SecureDiscard)
            return _others.Submit(io);

        // Both are refused at once: no file erases, and what is lost is lost.
        if (io.Kind == BlockIoKind.SecureDiscard || (io.Kind == BlockIoKind.Flush && _io.HasLostWrites))
            return _io.Do(io);

        long done = 0;
        if (_inline is not null && _inline.Do(io, _plugged, out done) is var status and not BlockStatus.Pending)
            return status;

        ref RingSlot slot = ref _slots[io.Slot];
        slot.Io = io;
        slot.Done = done;
        slot.Retries = 0;
        slot.UnderWay = true;
        _underWay++;
        Put(io.Slot, ref slot);
        if (!_plugged)
            StartAndBring();
        else if (_ring.Pending >= MostPerCall)
            Start();
        return BlockStatus.Pending;
    }

    /// <inheritdoc/>
    public void Plug()
    {
        _plugged = true;
        _others?.Plug();
    }

    /// <inheritdoc/>
    public void Unplug()
    {
        _plugged = false;
        _others?.Unplug();

        // While the storage is busy, the call that the owner makes next, to wait or to look again, takes these along.
        if (_underWay - _ring.Pending < Busy)
            StartAndBring();
    }

    public void Dispose()
    {
        _others?.Dispose();
        _ring.Dispose();
    }

    private void Put(int index, ref RingSlot slot)
    {
        SubmissionEntry entry = slot.NextEntry(_descriptor);
        entry.Name = NameOf(index, ++slot.Generation);
        _ring.Put(entry);
    }

    private bool IsUnderWay(int index, uint generation) => _slots[index].UnderWay && _slots[index].Generation == generation;

    private static ulong NameOf(int index, uint generation) => ((ulong)generation << 32) | (uint)index;

    // What is done when the kernel has taken it, as from the page cache, is answered with what the owner answers next.
    private void StartAndBring()
    {
        Start();
        while (_ring.HasResults)
        {
            Bring();
            Start();
        }
    }

    /// <summary>Has the kernel take what was put. Where it has no room now, the next call brings it; where it never has, the requests fail.</summary>
    private void Start()
    {
        while (_ring.Pending > 0)
        {
            int taken = _ring.Enter(Math.Min(_ring.Pending, MostPerCall), 0, 0);
            if (taken > 0)
                _refusals = 0;
            else if (IsPressure(taken) && ++_refusals < MostRefusals)
                return;
            else
                GiveUp(taken);
        }
    }

    /// <summary>Fails what the kernel does not take.</summary>
    private void GiveUp(int outcome)
    {
        _refusals = 0;
        while (_ring.TryWithdraw(out SubmissionEntry entry))
        {
            int index = (int)(uint)entry.Name;
            if (index >= _slots.Length)
                _signals.Withdrawn(index - _slots.Length);
            else if (IsUnderWay(index, (uint)(entry.Name >> 32)))
                Fail(index, ref _slots[index], $"io_uring_enter failed with error {-outcome}.");
        }
    }

    // Without memory, with too many results that nobody took, or interrupted: asked again, it may take them. Also if it took none and says nothing.
    private static bool IsPressure(int outcome) =>
        -outcome is 0 or Interop.InterruptedError or Interop.AgainError or Interop.NoMemoryError or Interop.BusyError;
}
