using System.Collections.Generic;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Testing;

/// <summary>A frontend's disk as one range of bytes: reads and writes of any length, as many requests at once as the queue's depth allows.</summary>
/// <remarks>
/// One for each queue. Used by one thread, which owns the queue too and has nothing else under way on it. Every method throws a <see cref="TimeoutException"/>
/// where the backend answers nothing for <see cref="FrontendOptions.Timeout"/>; the disk is of no use after that.
/// </remarks>
public sealed class FrontendDisk
{
    private readonly BlkifFrontend _frontend;
    private readonly Stack<int> _free = new();
    private readonly (int Offset, int Length)[] _parts;

    internal FrontendDisk(BlkifFrontend frontend, FrontendQueue queue)
    {
        _frontend = frontend;
        Queue = queue;
        _parts = new (int, int)[Queue.Depth];
        for (int slot = Queue.Depth - 1; slot >= 0; slot--)
            _free.Push(slot);
    }

    private FrontendQueue Queue { get; }

    /// <summary>Reads.</summary>
    /// <param name="offset">The first byte, a multiple of the sector size.</param>
    /// <param name="destination">Filled; a multiple of the sector size long.</param>
    /// <exception cref="BlkifRequestException">The backend refused or failed a part.</exception>
    public void Read(long offset, Span<byte> destination)
    {
        Check(offset, destination.Length);
        int issued = 0;
        BlkifStatus worst = BlkifStatus.Okay;
        while (issued < destination.Length || _free.Count < Queue.Depth)
        {
            issued = Issue(BlkifOperation.Read, offset, issued, destination.Length, default);
            while (Take(out int slot, ref worst))
            {
                (int start, int length) = _parts[slot];
                Queue.Buffer(slot).Slice(0, length).CopyTo(destination.Slice(start));
                Free(slot, length);
            }
        }

        ThrowUnlessOkay(worst, BlkifOperation.Read, offset, destination.Length);
    }

    /// <summary>Writes.</summary>
    /// <param name="offset">The first byte, a multiple of the sector size.</param>
    /// <param name="source">What to write; a multiple of the sector size long.</param>
    /// <exception cref="BlkifRequestException">The backend refused or failed a part.</exception>
    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        Check(offset, source.Length);
        int issued = 0;
        BlkifStatus worst = BlkifStatus.Okay;
        while (issued < source.Length || _free.Count < Queue.Depth)
        {
            issued = Issue(BlkifOperation.Write, offset, issued, source.Length, source);
            while (Take(out int slot, ref worst))
                Free(slot, _parts[slot].Length);
        }

        ThrowUnlessOkay(worst, BlkifOperation.Write, offset, source.Length);
    }

    /// <summary>Brings what was written to stable storage.</summary>
    /// <exception cref="BlkifRequestException">The backend refused or failed it.</exception>
    public void Flush()
    {
        Queue.Put(BlkifOperation.FlushDiskCache, _free.Peek(), 0, 0);
        ThrowUnlessOkay(PushAndTake(), BlkifOperation.FlushDiskCache, 0, 0);
    }

    /// <summary>Says that a range is no longer in use.</summary>
    /// <param name="offset">The first byte, a multiple of the sector size.</param>
    /// <param name="length">Bytes, a multiple of the sector size.</param>
    /// <exception cref="BlkifRequestException">The backend refused or failed it.</exception>
    public void Discard(long offset, long length)
    {
        Check(offset, length);
        Queue.PutDiscard((ulong)_free.Peek(), (ulong)offset / BlkifLimits.SectorSize, (ulong)length / BlkifLimits.SectorSize);
        ThrowUnlessOkay(PushAndTake(), BlkifOperation.Discard, offset, length);
    }

    // Before anything is under way: the ring knows whole sectors only, and would take a wrong offset for the sector that it lies in.
    private static void Check(long offset, long length)
    {
        if (offset < 0 || offset % BlkifLimits.SectorSize != 0)
            throw new ArgumentOutOfRangeException(nameof(offset), offset, "A disk is read and written from a multiple of 512 bytes on.");
        if (length % BlkifLimits.SectorSize != 0)
            throw new ArgumentOutOfRangeException(nameof(length), length, "A disk is read and written in multiples of 512 bytes.");
    }

    private static void ThrowUnlessOkay(BlkifStatus status, BlkifOperation operation, long offset, long length)
    {
        if (status != BlkifStatus.Okay)
            throw new BlkifRequestException(operation, status, offset, length);
    }

    private int Issue(BlkifOperation operation, long offset, int issued, int length, ReadOnlySpan<byte> source)
    {
        while (issued < length && _free.Count > 0)
        {
            int slot = _free.Pop();
            int part = Math.Min(length - issued, Queue.MaxTransfer);
            _parts[slot] = (issued, part);
            if (!source.IsEmpty)
                source.Slice(issued, part).CopyTo(Queue.Buffer(slot));
            Queue.Put(operation, slot, (ulong)(offset + issued) / BlkifLimits.SectorSize, part);
            issued += part;
        }

        Queue.Push();
        if (_free.Count < Queue.Depth)
            Wait();
        return issued;
    }

    private void Free(int slot, int length)
    {
        if (!_frontend.IsPersistent)
            Queue.GrantAnew(slot, (length + XenPage.Size - 1) / XenPage.Size);
        _free.Push(slot);
    }

    private BlkifStatus PushAndTake()
    {
        Queue.Push();
        Wait();
        BlkifStatus status = BlkifStatus.Okay;
        _ = Take(out _, ref status);
        return status;
    }

    private void Wait()
    {
        if (!Queue.Wait((int)_frontend.Timeout.TotalMilliseconds))
            throw new TimeoutException($"The backend has answered nothing for {_frontend.Timeout.TotalSeconds:0.#} s; its state is {_frontend.BackendState}.");
    }

    private bool Take(out int slot, ref BlkifStatus worst)
    {
        bool taken = Queue.TryTake(out FrontendCompletion completion);
        if (!taken && Queue.IsCorrupt)
            throw new InvalidOperationException("The backend announced responses to requests that were never made.");
        slot = (int)completion.Id;
        if (taken && completion.Status != BlkifStatus.Okay)
            worst = completion.Status;
        return taken;
    }
}
