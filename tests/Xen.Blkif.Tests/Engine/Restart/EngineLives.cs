using Microsoft.Extensions.Logging.Abstractions;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Memory;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Engine.Restart;

/// <summary>A guest that writes, reads and compares, and what outlives the engines that serve it one after the other: ring, journal and disk.</summary>
internal sealed class EngineLives : IDisposable
{
    private const int RequestLength = 2 * XenPage.Size;
    private const int SectorsOfSlot = RequestLength / BlkifLimits.SectorSize;

    private readonly SimulatedXen _xen = new();
    private readonly FrontendQueue _frontend;
    private readonly IGrantMapping _ring;
    private readonly IEventChannel _channel;
    private readonly NativeBuffer _journal = new(RingJournal.Length);
    private readonly MemoryTarget _disk;
    private readonly BlkifProtocol _protocol;
    private readonly Random _random = new(1);
    private readonly byte[][] _written;
    private readonly Stack<int> _free = new();
    private readonly Dictionary<ulong, (int Slot, BlkifOperation Operation)> _asked = [];
    private LaggardTarget _target = null!;
    private RequestEngine _engine = null!;
    private ulong _nextId;

    public EngineLives(BlkifProtocol protocol, int depth = 8)
    {
        _protocol = protocol;
        _disk = new MemoryTarget(depth * RequestLength);
        _written = new byte[depth][];
        for (int slot = 0; slot < depth; slot++)
        {
            _written[slot] = new byte[RequestLength];
            _free.Push(slot);
        }

        var options = new FrontendOptions { Protocol = protocol, Depth = depth };
        SimulatedGuest guest = _xen.CreateGuest(1, FrontendQueue.PagesOf(options));
        _frontend = FrontendQueue.Create(guest, _xen.Domain, options);
        _ring = _xen.Grants.Map(guest.Id, _frontend.RingReferences.ToArray(), writable: true);
        _channel = ((IEventChannels)_xen.Events).Bind(guest.Id, _frontend.Channel.Port);
    }

    /// <summary>Requests that were asked and not answered.</summary>
    public int Asked => _asked.Count;

    /// <summary>Requests answered.</summary>
    public ulong Answered { get; private set; }

    public unsafe nint Journal => (nint)_journal.Start;

    /// <summary>Starts the next engine. What the last one was doing is lost, and nothing of it is given back.</summary>
    public void Start(RingJournal journal, int maxRequests = 0)
    {
        _target = new LaggardTarget(_disk);
        _engine = RequestEngine.Create(new EngineSettings
        {
            Protocol = _protocol,
            RingAddress = _ring.Address,
            RingLength = _ring.Length,
            Domain = 1,
            Grants = _xen.Grants,
            Channel = _channel,
            Target = _target,
            Limits = _disk.Info.ToRequestLimits(new FrontendOptions().MaxIndirectSegments),
            MaxRequests = maxRequests,
            Logger = NullLogger.Instance,
            Journal = journal,
        });
    }

    /// <summary>The guest asks for as much as it has slots for, up to a number of requests in all.</summary>
    public void Ask(ulong total)
    {
        for (; _nextId < total && _free.TryPop(out int slot); _nextId++)
        {
            BlkifOperation operation = (_nextId % 4) switch { 0 or 1 => BlkifOperation.Write, 2 => BlkifOperation.Read, _ => BlkifOperation.FlushDiskCache };
            Span<byte> buffer = _frontend.Buffer(slot).Slice(0, RequestLength);
            _random.NextBytes(buffer);
            if (operation == BlkifOperation.Write)
                buffer.CopyTo(_written[slot]);
            BlkifSegment[] segments = operation == BlkifOperation.FlushDiskCache
                ? []
                : [new BlkifSegment(_frontend.GrantOf(slot, 0), 0, 7), new BlkifSegment(_frontend.GrantOf(slot, 1), 0, 7)];
            _asked.Add(_nextId, (slot, operation));
            ulong sector = segments.Length == 0 ? 0 : (ulong)(slot * SectorsOfSlot);

            // Half of the writes, and the reads, are indirect: what they name is in the guest's memory yet when they are done anew.
            if (_nextId % 4 is 1 or 2)
            {
                segments.CopyTo(_frontend.SegmentPage(slot));
                _frontend.PutIndirect(operation, _nextId, sector, (ushort)segments.Length, _frontend.SegmentGrantOf(slot));
            }
            else
            {
                _frontend.Put(operation, _nextId, sector, segments);
            }
        }

        _frontend.Push();
    }

    /// <summary>The engine takes and starts, the storage does some, the engine answers these.</summary>
    public void Serve(int done)
    {
        _engine.RunPass();
        _target.DoNewest(done);
        _engine.RunPass();
    }

    /// <summary>One write, from the guest and back to it, without anything that allocates on the guest's side.</summary>
    public void WriteOnce()
    {
        _frontend.Put(BlkifOperation.Write, 0, 0, RequestLength);
        _frontend.Push();
        Serve(done: 1);
        if (!_frontend.TryTake(out _))
            throw new InvalidOperationException("The write is not answered.");
    }

    /// <summary>The guest takes responses, of which there must be one for each request and no other, and looks at what it has read.</summary>
    public void Collect()
    {
        while (_frontend.TryTake(out FrontendCompletion answer))
        {
            Assert.That(_asked.Remove(answer.Id, out (int Slot, BlkifOperation Operation) asked), Is.True, $"request {answer.Id} is answered once");
            Assert.That((answer.Operation, answer.Status), Is.EqualTo((asked.Operation, BlkifStatus.Okay)));
            if (asked.Operation == BlkifOperation.Read)
                Assert.That(_frontend.Buffer(asked.Slot).Slice(0, RequestLength).SequenceEqual(_written[asked.Slot]), Is.True, "what was written is read");
            _free.Push(asked.Slot);
            Answered++;
        }

        Assert.That(_frontend.IsCorrupt, Is.False);
    }

    /// <summary>The disk has what was written last.</summary>
    public void AssertDisk()
    {
        byte[] found = new byte[RequestLength];
        for (int slot = 0; slot < _written.Length; slot++)
        {
            _disk.CopyTo(slot * RequestLength, found);
            Assert.That(found.AsSpan().SequenceEqual(_written[slot]), Is.True, $"the disk where slot {slot} writes");
        }
    }

    public void Dispose()
    {
        _engine.Dispose();
        _channel.Dispose();
        _ring.Dispose();
        _frontend.Dispose();
        _xen.Dispose();
        _journal.Dispose();
    }
}
