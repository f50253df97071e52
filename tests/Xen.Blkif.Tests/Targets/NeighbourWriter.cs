using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

/// <summary>
/// One of several who write at random on the same few blocks, each on sectors of its own, beside a model of those sectors. What failed may
/// have been done, sector by sector, or not; the next reading says which, and it is one of the two.
/// </summary>
/// <param name="driver">A queue of its own.</param>
/// <param name="writer">Its number.</param>
/// <param name="owners">By sector, whose it is.</param>
/// <param name="content">What is on the disk, and becomes what is.</param>
/// <param name="seed">Of what it does.</param>
internal sealed class NeighbourWriter(TargetDriver driver, int writer, int[] owners, byte[] content, int seed)
{
    private const int Sector = 512;

    private readonly Random _random = new(seed);
    private readonly HashSet<int> _underWay = [];
    private readonly Request?[] _requests = new Request?[driver.Depth];

    // By sector: what requests may have left there as well.
    private readonly Dictionary<int, List<byte[]>> _alternatives = [];

    public int Failures { get; private set; }

    /// <summary>Makes requests, as many at once as there are slots.</summary>
    public void Run(int requests)
    {
        for (int i = 0; i < requests; i++)
        {
            int slot = Array.FindIndex(_requests, request => request is null);
            if (slot < 0 || (_random.Next(3) == 0 && _underWay.Count > 0))
                Finish();
            else
                Start(slot);
        }

        while (_underWay.Count > 0)
            Finish();
    }

    /// <summary>Compares this writer's sectors with the disk.</summary>
    public void Compare(ReadOnlySpan<byte> disk)
    {
        for (int sector = 0; sector < owners.Length; sector++)
        {
            if (owners[sector] == writer)
                Expect(sector, disk.Slice(sector * Sector, Sector), "at the end");
        }
    }

    private void Start(int slot)
    {
        int first = _random.Next(owners.Length);
        while (owners[first] != writer)
            first = (first + 1) % owners.Length;
        int longest = _random.Next(1, 41);
        int count = 0;
        while (count < longest && first + count < owners.Length && owners[first + count] == writer && !_underWay.Contains(first + count))
            count++;
        if (count == 0)
            return;

        BlockIoKind kind = _random.Next(10) switch { < 6 => BlockIoKind.Write, < 9 => BlockIoKind.Read, _ => BlockIoKind.Discard };
        _requests[slot] = new Request(kind, first, count, kind == BlockIoKind.Write ? Random(count * Sector) : []);
        _underWay.UnionWith(Enumerable.Range(first, count));
        _requests[slot]!.Data.CopyTo(driver.Buffer(slot));
        driver.Start(kind, slot, first * Sector, count * Sector);
    }

    private void Finish()
    {
        int slot = driver.WaitForAny();
        Request request = _requests[slot]!;
        _requests[slot] = null;
        bool failed = driver.Wait(slot) != BlockStatus.Okay;
        Failures += failed ? 1 : 0;
        for (int i = 0; i < request.Count; i++)
        {
            int sector = request.First + i;
            _underWay.Remove(sector);
            if (request.Kind == BlockIoKind.Discard)
                Allow(sector, new byte[Sector]);
            else if (request.Kind == BlockIoKind.Write && failed)
                Allow(sector, request.Data[(i * Sector)..((i + 1) * Sector)]);
            else if (request.Kind == BlockIoKind.Write)
                Remember(sector, request.Data.AsSpan(i * Sector, Sector));
            else if (!failed)
                Expect(sector, driver.Buffer(slot).Slice(i * Sector, Sector), "read");
        }
    }

    private void Expect(int sector, ReadOnlySpan<byte> found, string when)
    {
        byte[] copy = found.ToArray();
        bool isKnown = found.SequenceEqual(content.AsSpan(sector * Sector, Sector))
            || (_alternatives.TryGetValue(sector, out List<byte[]>? possible) && possible.Exists(other => other.AsSpan().SequenceEqual(copy)));
        if (!isKnown)
            throw new AssertionException($"Sector {sector} of writer {writer} has bytes that were not written there last, {when}.");
        Remember(sector, found);
    }

    private void Remember(int sector, ReadOnlySpan<byte> bytes)
    {
        _alternatives.Remove(sector);
        bytes.CopyTo(content.AsSpan(sector * Sector));
    }

    private void Allow(int sector, byte[] bytes)
    {
        if (!_alternatives.TryGetValue(sector, out List<byte[]>? possible))
            _alternatives[sector] = possible = [];
        possible.Add(bytes);
    }

    private byte[] Random(int length)
    {
        byte[] bytes = new byte[length];
        _random.NextBytes(bytes);
        return bytes;
    }

    private sealed record Request(BlockIoKind Kind, int First, int Count, byte[] Data);
}
