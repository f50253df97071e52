using System.Diagnostics;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Rings;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Engine;

/// <summary>The engine, in code of its own for each layout.</summary>
/// <remarks>A pass goes through the stages in the order of the methods below.</remarks>
internal sealed unsafe class RequestEngine<TRequest, TResponse> : RequestEngine
    where TRequest : unmanaged, IBlkifRequest
    where TResponse : unmanaged, IBlkifResponse
{
    // With no more than this many requests under way, the storage waits for us: what comes is started at once.
    private const int PlugThreshold = 1;

    private readonly BackRing<TRequest, TResponse> _ring;
    private readonly RequestPool<TRequest> _pool;
    private readonly GuestBuffers _guest;
    private readonly CompletionInbox _inbox;
    private readonly IBlockQueue _target;
    private readonly IEventChannel _channel;
    private readonly EngineLog _log;
    private readonly long _maxDiscard;

    // The requests of this pass, by slot: taken and to be started; done and to be answered.
    private readonly int[] _taken;
    private readonly int[] _finished;
    private int _takenCount;
    private int _finishedCount;

    public RequestEngine(EngineSettings settings)
        : base(settings)
    {
        settings.Target.Info.Validate();
        _ring = new BackRing<TRequest, TResponse>(settings.RingAddress, settings.RingLength);
        int slots = settings.MaxRequests > 0 ? Math.Min(settings.MaxRequests, (int)_ring.Size) : (int)_ring.Size;
        _pool = new RequestPool<TRequest>(slots);
        _guest = new GuestBuffers(settings.Grants, settings.Domain, slots);
        _channel = settings.Channel;
        _inbox = new CompletionInbox(slots, _channel);
        _target = settings.Target.OpenQueue(slots, _inbox);
        _maxDiscard = settings.Target.Info.MaxDiscardLength;
        _log = settings.Log ?? new EngineLog(settings.Logger, settings.DeviceName);
        _taken = new int[slots];
        _finished = new int[slots];
    }

    /// <inheritdoc/>
    public override int InFlight => _pool.Rented;

    /// <inheritdoc/>
    public override bool IsCorrupt => _ring.IsCorrupt;

    /// <inheritdoc/>
    public override bool RunPass()
    {
        _inbox.WakeUp();
        _takenCount = 0;
        _finishedCount = 0;

        Reap();
        int inFlight = _pool.Rented - _finishedCount;
        if (!IsDraining)
            Take();
        Fetch();
        Start(inFlight);
        Reap();
        if (_takenCount == 0 && _finishedCount == 0)
            return false;

        Statistics.Passes++;
        Deliver();
        Respond();
        return true;
    }

    /// <inheritdoc/>
    public override bool PrepareToSleep()
    {
        // With every slot in use no request can be taken, however many there are: the next result wakes the queue, and then it takes more.
        // A ring that yields nothing any more is not asked either.
        if (!IsDraining && !_pool.IsExhausted && _ring.FinalCheck())
            return false;
        return _inbox.TryFallAsleep();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _target.Dispose();
        _guest.Dispose();
        _pool.Dispose();
    }

    /// <summary>Collects the results that targets have left, and starts what a request still has to do.</summary>
    private void Reap()
    {
        for (int slot = _inbox.TakeAll(); slot >= 0;)
        {
            int index = slot;
            slot = _inbox.Collect(index, out BlockStatus status);
            Advance(index, status);
        }
    }

    /// <summary>Takes requests from the ring for as long as there are slots, and checks each.</summary>
    private void Take()
    {
        RequestLimits limits = Limits;
        long now = 0;
        while (!_pool.IsExhausted)
        {
            int index = _pool.Next;
            TRequest* copy = _pool.Copy(index);
            if (!_ring.TryTake(out *copy))
                break;

            _pool.Rent();
            if (now == 0)
                now = Stopwatch.GetTimestamp();
            RequestSlot* slot = _pool.Slot(index);
            slot->Id = copy->Id;
            slot->Operation = copy->Operation;
            slot->Started = now;
            slot->Refusal = RequestParser.Parse(ref *copy, limits, out BlockRequest request);
            if (slot->Refusal == Refusal.None)
                Accept(index, slot, copy, request);
            else
                Refuse(index, slot, copy);
        }
    }

    private void Accept(int index, RequestSlot* slot, TRequest* copy, in BlockRequest request)
    {
        slot->Kind = request.Kind;
        slot->Status = BlkifStatus.Okay;
        slot->SegmentCount = request.SegmentCount;
        slot->Segments = (BlkifSegment*)((byte*)copy + copy->SegmentsOffset);
        slot->Offset = (long)request.Sector * BlkifLimits.SectorSize;
        slot->Length = slot->TotalLength = (long)request.SectorCount * BlkifLimits.SectorSize;
        if (request.SegmentCount > 0)
            _guest.Attach(index, slot);
        _taken[_takenCount++] = index;
    }

    private void Refuse(int index, RequestSlot* slot, TRequest* copy)
    {
        slot->Status = Refusals.StatusOf(slot->Refusal);
        slot->SegmentCount = 0;
        _log.Refused(slot->Refusal, slot->Operation, copy->SectorNumber);
        _finished[_finishedCount++] = index;
    }

    /// <summary>Brings the data of writes out of the guest, for all of them at once.</summary>
    private void Fetch()
    {
        for (int i = 0; i < _takenCount; i++)
        {
            RequestSlot* slot = _pool.Slot(_taken[i]);
            if (slot->Kind is BlockRequestKind.Write or BlockRequestKind.FlushThenWrite)
                _guest.GatherFetch(slot);
        }

        _guest.Copy();
    }

    /// <summary>
    /// Starts the requests taken. Where the storage is the bottleneck they are held together: as many at a time as were under way before,
    /// so that the groups grow with the load (the rule that QEMU's block devices have).
    /// </summary>
    private void Start(int inFlight)
    {
        bool plug = inFlight > PlugThreshold && _takenCount > 0;
        if (plug)
            _target.Plug();

        int held = 0;
        for (int i = 0; i < _takenCount; i++)
        {
            if (plug && held++ == inFlight)
            {
                _target.Unplug();
                _target.Plug();
                held = 1;
            }

            int index = _taken[i];
            if (_pool.Slot(index)->Status == BlkifStatus.Okay)
                Run(index);
            else
                _finished[_finishedCount++] = index;
        }

        if (plug)
            _target.Unplug();
    }

    /// <summary>Has the target do one step of a request after another, until one is pending or all are done.</summary>
    private void Run(int index)
    {
        RequestSlot* slot = _pool.Slot(index);
        BlockStatus status;
        do
        {
            status = Submit(index, slot);
            if (status == BlockStatus.Pending)
                return;
        }
        while (HasNextStep(slot, status));

        Finish(index, slot, status);
    }

    private void Advance(int index, BlockStatus status)
    {
        RequestSlot* slot = _pool.Slot(index);
        if (HasNextStep(slot, status))
            Run(index);
        else
            Finish(index, slot, status);
    }

    private BlockStatus Submit(int index, RequestSlot* slot)
    {
        BlockIo io = slot->Kind switch
        {
            BlockRequestKind.Read => BlockIo.Transfer(BlockIoKind.Read, index, slot->Offset, slot->Length, (nint)(&slot->Data), 1),
            BlockRequestKind.Write => BlockIo.Transfer(BlockIoKind.Write, index, slot->Offset, slot->Length, (nint)(&slot->Data), 1),
            BlockRequestKind.Discard => BlockIo.Discard(index, slot->Offset, Math.Min(slot->Length, _maxDiscard)),
            _ => BlockIo.Flush(index),
        };

        _inbox.Expect(index);
        BlockStatus status;
        try
        {
            status = _target.Submit(io);
        }
#pragma warning disable CA1031 // whatever a target throws, the guest gets its answer
        catch (Exception e)
#pragma warning restore CA1031
        {
            _log.TargetThrew(e);
            status = BlockStatus.Error;
        }

        // A target that completes a request and then throws, or says that it is done, has done both: the first counts.
        return status == BlockStatus.Pending || _inbox.TryForget(index) ? status : BlockStatus.Pending;
    }

    private bool HasNextStep(RequestSlot* slot, BlockStatus status)
    {
        if (status != BlockStatus.Okay)
            return false;

        switch (slot->Kind)
        {
            case BlockRequestKind.FlushThenWrite:
                slot->Kind = BlockRequestKind.Write;
                return true;

            case BlockRequestKind.Discard:
                long piece = Math.Min(slot->Length, _maxDiscard);
                slot->Offset += piece;
                slot->Length -= piece;
                return slot->Length > 0;

            default:
                return false;
        }
    }

    private void Finish(int index, RequestSlot* slot, BlockStatus status)
    {
        if (status != BlockStatus.Okay)
        {
            _log.Failed(slot->Kind, slot->Offset, slot->Length, status);

            // A transfer is always supported; a target that says otherwise failed.
            bool optional = slot->Kind is BlockRequestKind.Flush or BlockRequestKind.FlushThenWrite or BlockRequestKind.Discard;
            slot->Status = status == BlockStatus.NotSupported && optional ? BlkifStatus.NotSupported : BlkifStatus.Error;
        }

        _finished[_finishedCount++] = index;
    }

    /// <summary>Brings the data of reads into the guest, for all of them at once, before any response shows.</summary>
    private void Deliver()
    {
        for (int i = 0; i < _finishedCount; i++)
        {
            RequestSlot* slot = _pool.Slot(_finished[i]);
            if (slot->Status == BlkifStatus.Okay && slot->Kind == BlockRequestKind.Read)
                _guest.GatherDelivery(slot);
        }

        _guest.Copy();
    }

    /// <summary>Answers what is done: every response put, then shown at once, with one notification at most.</summary>
    private void Respond()
    {
        if (_finishedCount == 0)
            return;

        long now = Stopwatch.GetTimestamp();
        for (int i = 0; i < _finishedCount; i++)
        {
            int index = _finished[i];
            RequestSlot* slot = _pool.Slot(index);
            TResponse response = default;
            response.Fill(slot->Id, slot->Operation, slot->Status);
            _ring.Put(response);
            Statistics.Count(*slot, now);
            _pool.Return(index);
        }

        if (_ring.Push())
        {
            Statistics.Notifications++;
            _channel.Notify();
        }
    }
}
