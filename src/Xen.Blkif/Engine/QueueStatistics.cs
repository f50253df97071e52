using System.Diagnostics;
using System.Runtime.CompilerServices;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Engine;

/// <summary>What one operation did on a queue.</summary>
/// <remarks>Written by the queue's thread; read by any, at any time.</remarks>
public sealed class OperationStatistics
{
    /// <summary>Requests done.</summary>
    public long Done { get; private set; }

    /// <summary>Requests that passed the checks and failed.</summary>
    public long Failed { get; private set; }

    /// <summary>Requests that did not pass the checks.</summary>
    public long Refused { get; private set; }

    /// <summary>Bytes of the requests done.</summary>
    public long Bytes { get; private set; }

    /// <summary>How long requests that passed the checks took, from being taken to being answered.</summary>
    /// <remarks>
    /// Recorded after the answer, so that it may have one pass of requests less than the other numbers. What a queue finds right after a pass
    /// counts from the end of that, and what it finds while it looks for work from when it last looked at the clock, some hundred looks at
    /// the ring ago at most.
    /// </remarks>
    public LatencyHistogram Latency { get; } = new();

    internal long Requests => Done + Failed + Refused;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void CountDone(long bytes)
    {
        Done++;
        Bytes += bytes;
    }

    internal void CountFailed() => Failed++;

    internal void CountRefused() => Refused++;
}

/// <summary>What a queue did since it was connected.</summary>
/// <remarks>Written by the queue's thread; read by any, at any time, each number right for itself.</remarks>
public sealed class QueueStatistics
{
    // A tick is a nanosecond on Linux: then there is nothing to convert.
    private static readonly bool TicksAreNanoseconds = Stopwatch.Frequency == 1_000_000_000;
    private static readonly double NanosecondsPerTick = 1e9 / Stopwatch.Frequency;

    private readonly long[] _refusals = new long[Refusals.Count];

    /// <summary>Reads.</summary>
    public OperationStatistics Reads { get; } = new();

    /// <summary>Writes.</summary>
    public OperationStatistics Writes { get; } = new();

    /// <summary>Flushes, with data or without.</summary>
    public OperationStatistics Flushes { get; } = new();

    /// <summary>Discards.</summary>
    public OperationStatistics Discards { get; } = new();

    /// <summary>All other operations: barriers, and what is refused.</summary>
    public OperationStatistics Others { get; } = new();

    /// <summary>Requests answered.</summary>
    public long Requests => Reads.Requests + Writes.Requests + Flushes.Requests + Discards.Requests + Others.Requests;

    /// <summary>Event channel notifications sent to the guest.</summary>
    public long Notifications { get; internal set; }

    /// <summary>Times that the ring was looked at and something was done.</summary>
    public long Passes { get; internal set; }

    /// <summary>How many requests were refused for a reason.</summary>
    /// <param name="reason">The reason.</param>
    public long RefusedFor(Refusal reason) => Volatile.Read(ref _refusals[(int)reason]);

    /// <summary>Counts a request that is answered.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Count(in RequestSlot slot)
    {
        if (slot.Status == BlkifStatus.Okay)
            Of((BlkifOperation)slot.Operation).CountDone(slot.TotalLength);
        else
            CountNotDone(slot);
    }

    /// <summary>Counts how long it took, if it passed the checks.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Time(in RequestSlot slot, long now)
    {
        if (slot.Refusal != Refusal.None)
            return;
        long ticks = now - slot.Started;
        Of((BlkifOperation)slot.Operation).Latency.Record(TicksAreNanoseconds ? ticks : (long)(ticks * NanosecondsPerTick));
    }

    private void CountNotDone(in RequestSlot slot)
    {
        OperationStatistics operation = Of((BlkifOperation)slot.Operation);
        if (slot.Refusal == Refusal.None)
        {
            operation.CountFailed();
            return;
        }

        operation.CountRefused();
        _refusals[(int)slot.Refusal]++;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private OperationStatistics Of(BlkifOperation operation) => operation == BlkifOperation.Read ? Reads : OfOther(operation);

    private OperationStatistics OfOther(BlkifOperation operation) => operation switch
    {
        BlkifOperation.Write => Writes,
        BlkifOperation.FlushDiskCache => Flushes,
        BlkifOperation.Discard => Discards,
        _ => Others,
    };
}
