using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Rings;
using Xen.Blkif.Tests.Reference;

namespace Xen.Blkif.Tests.Rings;

/// <summary>Our rings and rings made of Xen's macros go the same random way, each pair in memory of its own.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
public sealed class RingDifferentialTests
{
    private const string SeedVariable = "XEN_BLKIF_RING_SEED";
    private const int Steps = 500_000;

    [Test]
    public void Every_step_does_what_rings_made_of_Xens_macros_do(
        [Values(BlkifProtocol.X64, BlkifProtocol.X86)] BlkifProtocol protocol,
        [Values(0, 1, 2, 3, 4)] int pageOrder)
    {
        ReferenceRings reference = XenReference.Rings(protocol);
        int seed = Environment.GetEnvironmentVariable(SeedVariable) is { Length: > 0 } text
            ? int.Parse(text, CultureInfo.InvariantCulture)
            : Guid.NewGuid().GetHashCode();
        TestContext.Out.WriteLine($"{SeedVariable}={seed.ToString(CultureInfo.InvariantCulture)} repeats this walk.");

        WalkSummary summary = protocol == BlkifProtocol.X86
            ? Walk<X86Request, X86Response>(reference, pageOrder, seed)
            : Walk<X64Request, X64Response>(reference, pageOrder, seed);

        TestContext.Out.WriteLine(summary);

        // A walk that never gets anywhere would agree with anything.
        using (Assert.EnterMultipleScope())
        {
            Assert.That(summary.Rings, Is.GreaterThan(3));
            Assert.That(summary.RequestsTaken, Is.GreaterThan(Steps / 20));
            Assert.That(summary.ResponsesTaken, Is.GreaterThan(Steps / 20));
            Assert.That(summary.FrontNotifies, Is.GreaterThan(10));
            Assert.That(summary.FrontSilences, Is.GreaterThan(10));
            Assert.That(summary.BackNotifies, Is.GreaterThan(10));
            Assert.That(summary.BackSilences, Is.GreaterThan(10));
            Assert.That(summary.Full, Is.GreaterThan(0));
            Assert.That(summary.Wraps, Is.GreaterThan(0));
            Assert.That(summary.BackCorrupt, Is.GreaterThan(0));
            Assert.That(summary.FrontCorrupt, Is.GreaterThan(0));
        }
    }

    private static WalkSummary Walk<TRequest, TResponse>(ReferenceRings reference, int pageOrder, int seed)
        where TRequest : unmanaged, IBlkifRequest
        where TResponse : unmanaged, IBlkifResponse
    {
        var random = new Random(seed);
        var summary = new WalkSummary();
        using var ours = new RingMemory(pageOrder);
        using var theirs = new RingMemory(pageOrder);
        while (summary.Steps < Steps)
        {
            using var pair = new RingPairs<TRequest, TResponse>(reference, ours, theirs, random, summary, seed);
            pair.Run();
        }

        return summary;
    }
}

/// <summary>What a walk has met.</summary>
internal sealed record WalkSummary
{
    public int Steps { get; set; }

    public int Rings { get; set; }

    public int RequestsTaken { get; set; }

    public int ResponsesTaken { get; set; }

    public int FrontNotifies { get; set; }

    public int FrontSilences { get; set; }

    public int BackNotifies { get; set; }

    public int BackSilences { get; set; }

    public int Full { get; set; }

    public int Wraps { get; set; }

    public int BackCorrupt { get; set; }

    public int FrontCorrupt { get; set; }
}

/// <summary>One life of a ring, in C# and in C side by side: until a while after it is corrupt, or the walk is over.</summary>
internal sealed class RingPairs<TRequest, TResponse> : IDisposable
    where TRequest : unmanaged, IBlkifRequest
    where TResponse : unmanaged, IBlkifResponse
{
    private const int StepsOfOneRing = 10_000;
    private const int StepsAfterCorruption = 100;

    private readonly Random _random;
    private readonly WalkSummary _summary;
    private readonly int _seed;
    private readonly RingMemory _ours;
    private readonly RingMemory _theirs;
    private readonly BackRing<TRequest, TResponse> _ourBack;
    private readonly FrontRing<TRequest, TResponse> _ourFront;
    private readonly ReferenceBackRing _theirBack;
    private readonly ReferenceFrontRing _theirFront;
    private readonly byte[] _requestBytes;
    private readonly byte[] _responseBytes;
    private readonly uint _start;
    private readonly bool _hostile;
    private string _move = "";

    public RingPairs(ReferenceRings reference, RingMemory ours, RingMemory theirs, Random random, WalkSummary summary, int seed)
    {
        (_random, _summary, _seed, _ours, _theirs) = (random, summary, seed, ours, theirs);
        uint slots = RingSize.Slots<TRequest, TResponse>(BitOperations.Log2((uint)(ours.Length / XenPage.Size)));

        // One in four starts at 0, as a new ring does; the others cross 2^32 soon. Every other one has an honest peer all its life.
        bool fresh = random.Next(4) == 0;
        _start = fresh ? 0 : 0u - (uint)random.Next(1, 4 * (int)slots);
        _hostile = summary.Rings++ % 2 == 0;

        random.NextBytes(ours.Bytes);
        ours.Bytes.CopyTo(theirs.Bytes);
        if (!fresh)
        {
            ours.StartAt(_start);
            theirs.StartAt(_start);
        }

        _ourFront = new FrontRing<TRequest, TResponse>(ours.Address, ours.Length, _start);
        _theirFront = new ReferenceFrontRing(reference, theirs.Address, theirs.Length, _start);
        if (fresh)
        {
            _ourFront.Initialise();
            _theirFront.Initialise();
        }

        _ourBack = new BackRing<TRequest, TResponse>(ours.Address, ours.Length, _start);
        _theirBack = new ReferenceBackRing(reference, theirs.Address, theirs.Length, _start);
        _requestBytes = new byte[reference.RequestSize];
        _responseBytes = new byte[reference.ResponseSize];

        Same("size for the back end", _ourBack.Size, _theirBack.Size);
        Same("size for the front end", _ourFront.Size, _theirFront.Size);
        CompareState();
    }

    public void Run()
    {
        bool backWasCorrupt = false, frontWasCorrupt = false;
        int left = StepsOfOneRing;
        while (left > 0)
        {
            // Batches: one kind of move is made several times, so that rings run full and empty.
            int repeats = _random.Next(3) == 0 ? _random.Next(1, (int)_ourBack.Size + 2) : _random.Next(1, 5);
            int move = _random.Next(_hostile ? 103 : 100);
            for (; repeats > 0 && left > 0; repeats--, left--)
            {
                _summary.Steps++;
                if (!Move(move))
                    repeats = 0;
                CompareState();

                if ((backWasCorrupt && !_ourBack.IsCorrupt) || (frontWasCorrupt && !_ourFront.IsCorrupt))
                    Fail("a corrupt ring came back to life");
                if ((_ourBack.IsCorrupt && !backWasCorrupt) || (_ourFront.IsCorrupt && !frontWasCorrupt))
                    left = Math.Min(left, StepsAfterCorruption);
                (backWasCorrupt, frontWasCorrupt) = (_ourBack.IsCorrupt, _ourFront.IsCorrupt);
            }
        }

        if (_ours.RequestProducer < _start && _ours.ResponseProducer < _start)
            _summary.Wraps++;
        _summary.BackCorrupt += backWasCorrupt ? 1 : 0;
        _summary.FrontCorrupt += frontWasCorrupt ? 1 : 0;
    }

    public void Dispose()
    {
        _theirBack.Dispose();
        _theirFront.Dispose();
    }

    // Whether the same move again would be of use.
    private bool Move(int move)
    {
        switch (move)
        {
            case < 20:
                return FrontPut();
            case < 32:
                FrontPush();
                return false;
            case < 48:
                return FrontTake();
            case < 52:
                _move = "front final check";
                Same("front final check", _ourFront.FinalCheck(), _theirFront.FinalCheck());
                return false;
            case < 70:
                return BackTake();
            case < 86:
                return BackPut();
            case < 96:
                BackPush();
                return false;
            case < 100:
                _move = "back final check";
                Same("back final check", _ourBack.FinalCheck(), _theirBack.FinalCheck());
                return false;
            default:
                Scribble();
                return false;
        }
    }

    private bool FrontPut()
    {
        _move = "front put";
        _random.NextBytes(_requestBytes);
        bool ours = _ourFront.TryPut(MemoryMarshal.Read<TRequest>(_requestBytes));
        Same("whether there was room", ours, _theirFront.TryPut(_requestBytes));
        _summary.Full += ours ? 0 : 1;
        return ours;
    }

    private void FrontPush()
    {
        _move = "front push";
        bool ours = _ourFront.Push();
        Same("whether to notify the backend", ours, _theirFront.Push());
        _summary.FrontNotifies += ours ? 1 : 0;
        _summary.FrontSilences += ours ? 0 : 1;
    }

    private bool FrontTake()
    {
        _move = "front take";
        bool ours = _ourFront.TryTake(out TResponse response);
        Same("whether there was a response", ours, _theirFront.TryTake(_responseBytes));
        if (!ours)
            return false;

        if (!MemoryMarshal.AsBytes(new ReadOnlySpan<TResponse>(in response)).SequenceEqual(_responseBytes))
            Fail("the responses differ");
        _summary.ResponsesTaken++;
        return true;
    }

    private bool BackTake()
    {
        _move = "back take";
        bool ours = _ourBack.TryTake(out TRequest request);
        Same("whether there was a request", ours, _theirBack.TryTake(_requestBytes));
        if (!ours)
            return false;

        if (!MemoryMarshal.AsBytes(new ReadOnlySpan<TRequest>(in request)).SequenceEqual(_requestBytes))
            Fail("the requests differ");
        _summary.RequestsTaken++;
        return true;
    }

    private bool BackPut()
    {
        _move = "back put";
        if (_ourBack.Unanswered == 0)
            return false;

        ulong id = (ulong)_random.NextInt64(long.MinValue, long.MaxValue);
        byte operation = (byte)_random.Next(256);
        BlkifStatus status = (BlkifStatus)(-_random.Next(3));
        TResponse response = default;
        response.Fill(id, operation, status);
        _ourBack.Put(response);
        _theirBack.Put(id, operation, status);
        return true;
    }

    private void BackPush()
    {
        _move = "back push";
        bool ours = _ourBack.Push();
        Same("whether to notify the frontend", ours, _theirBack.Push());
        _summary.BackNotifies += ours ? 1 : 0;
        _summary.BackSilences += ours ? 0 : 1;
    }

    // What a peer may do to the pages at any time. Mostly a little off what is honest, where the rules are decided.
    private void Scribble()
    {
        int offset = 4 * _random.Next(4);
        int kind = _random.Next(10);
        if (kind < 5)
        {
            int reach = (int)_ourBack.Size + 2;
            uint value = _ours.Index(4 * _random.Next(4)) + (uint)_random.Next(-reach, reach + 1);
            _move = $"write {value} at {offset}";
            _ours.Index(offset) = _theirs.Index(offset) = value;
        }
        else if (kind < 6)
        {
            uint value = (uint)_random.NextInt64(1L << 32);
            _move = $"write {value} at {offset}";
            _ours.Index(offset) = _theirs.Index(offset) = value;
        }
        else
        {
            int from = _random.Next(16, _ours.Length);
            Span<byte> piece = _ours.Bytes.Slice(from, Math.Min(_random.Next(1, 300), _ours.Length - from));
            _move = $"write {piece.Length} bytes at {from}";
            _random.NextBytes(piece);
            piece.CopyTo(_theirs.Bytes[from..]);
        }
    }

    private void CompareState()
    {
        Same("back end corrupt", _ourBack.IsCorrupt, _theirBack.IsCorrupt);
        Same("front end corrupt", _ourFront.IsCorrupt, _theirFront.IsCorrupt);
        Same("unanswered requests", _ourBack.Unanswered, _theirBack.Unanswered);
        Same("free slots", _ourFront.Free, _theirFront.Free);
        int differs = _ours.Bytes.CommonPrefixLength(_theirs.Bytes);
        if (differs != _ours.Length)
            Fail($"the memory differs at byte {differs}: {_ours.Bytes[differs]} here, {_theirs.Bytes[differs]} in C");
    }

    private void Same<T>(string what, T ours, T theirs)
        where T : struct, IEquatable<T>
    {
        if (!ours.Equals(theirs))
            Fail($"{what}: {ours} here, {theirs} in C");
    }

    private void Fail(string what) =>
        Assert.Fail($"Step {_summary.Steps} of seed {_seed}, ring {_summary.Rings} from index {_start}, move \"{_move}\": {what}.");
}
