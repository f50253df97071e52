using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Rings;
using Xen.Blkif.Targets;

namespace Xen.Blkif.PerfTests.Ring;

/// <summary>What a queue's thread does when a pass is over.</summary>
internal enum EngineWay
{
    /// <summary>It looks for the next requests, as it does while they come sooner than a sleep would end, and there they are.</summary>
    Looking,

    /// <summary>It asks for an event and sleeps, for no time.</summary>
    Sleeping,
}

/// <summary>The engine of this library, called as its thread calls it.</summary>
internal sealed unsafe class EngineBackend : IRingBackend
{
    private readonly RingGuest _guest;
    private readonly EngineWay _way;
    private readonly RequestEngine _engine;

    public EngineBackend(RingGuest guest, EngineWay way)
    {
        _guest = guest;
        _way = way;
        var target = new NoTarget(guest.HasReadOnlyDisk);
        _engine = RequestEngine.Create(new EngineSettings
        {
            Protocol = guest.Protocol,
            RingAddress = guest.Address,
            RingLength = guest.RingLength,
            Domain = 1,
            Grants = new SegmentsOnly(guest),
            Channel = new NoChannel(),
            Target = target,
            Limits = target.Info.ToRequestLimits(RingGuest.MaxIndirectSegments),
        });
        _engine.IsPolled = way == EngineWay.Looking;
    }

    public long Done => _engine.Statistics.Reads.Done + _engine.Statistics.Writes.Done + _engine.Statistics.Flushes.Done + _engine.Statistics.Discards.Done;

    public void Run(int batch, int requests)
    {
        byte* slots = (byte*)_guest.Address + RingSize.HeaderLength;
        int stride = _guest.Stride;
        uint mask = _guest.Slots - 1;
        uint end = _guest.Announced;
        Block16 start = Unsafe.ReadUnaligned<Block16>(slots + ((end & mask) * stride));
        for (int done = 0; done < requests; done += batch)
        {
            uint begin = end;
            end += (uint)batch;
            _guest.Announce(end);
            Ring();
            for (uint i = begin; i != end; i++)
                Unsafe.WriteUnaligned(slots + ((i & mask) * stride), start);
        }
    }

    public void Serve(int requests)
    {
        _guest.Announce(_guest.Announced + (uint)requests);
        Ring();
    }

    public void Dispose() => _engine.Dispose();

    // From the moment that there are requests until it is found that there are no more. Code of its own, as that of a queue's thread is: what
    // plays the guest around it is to take no registers from it.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Ring()
    {
        do
            _engine.RunPass();
        while (_way == EngineWay.Looking ? _engine.HasWork : !_engine.PrepareToSleep());
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Block16
    {
        public ulong First, Second;
    }

    /// <summary>Copies what the guest's memory has: segments of indirect requests. Data is as if it had been copied.</summary>
    private sealed class SegmentsOnly(RingGuest guest) : IGrantTable
    {
        public bool Copy(Span<GrantCopySegment> segments)
        {
            foreach (ref readonly GrantCopySegment piece in segments)
            {
                if (piece.ToGuest)
                    return true; // all pieces of a copy go one way
                if (piece.Reference.Value >= RingGuest.Pages)
                    continue;
                byte* from = (byte*)guest.Address + ((long)piece.Reference.Value * XenPage.Size) + piece.Offset;
                Buffer.MemoryCopy(from, (void*)piece.LocalAddress, piece.Length, piece.Length);
            }

            return true;
        }

        public IGrantMapping Map(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable) => throw new NotSupportedException();

        public IGrantMapping MapRing(DomainId domain, ReadOnlySpan<GrantReference> references, IEventChannel channel) => throw new NotSupportedException();

        public nint TryMap(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable) => 0;

        public bool TryUnmap(nint address, int pages) => false;
    }

    private sealed class NoChannel : IEventChannel
    {
        public bool Wait(int millisecondsTimeout) => false;

        public bool WaitForWake(int millisecondsTimeout) => false;

        public void Notify()
        {
            // Nobody listens.
        }

        public void Wake()
        {
            // Nobody sleeps.
        }

        public void Dispose()
        {
            // Nothing is held.
        }
    }

    /// <summary>A disk that is done with everything at once, and does nothing.</summary>
    private sealed class NoTarget(bool readOnly) : IBlockTarget
    {
        public BlockTargetInfo Info { get; } = new((long)RingGuest.Sectors * BlkifLimits.SectorSize)
        {
            ReadOnly = readOnly,
            Flush = Capability.Native,
            Discard = Capability.Native,
        };

        public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) => new Queue();

        public ValueTask DisposeAsync() => default;

        private sealed class Queue : InlineQueue
        {
            public override BlockStatus Submit(in BlockIo io) => BlockStatus.Okay;
        }
    }
}
