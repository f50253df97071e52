using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

/// <summary>Reads, writes, discards and flushes at random, many under way at once, of which no two touch the same bytes.</summary>
internal sealed class RandomWalk(ContractDisk disk, TargetDriver driver, Random random, bool forgets)
{
    private readonly Request?[] _underWay = new Request?[driver.Depth];

    public void Run(int steps)
    {
        int depth = 1;
        for (int step = 0; step < steps; step++)
        {
            if (random.Next(20) == 0)
                depth = random.Next(1, driver.Depth + 1);
            bool plug = random.Next(4) == 0;
            if (plug)
                driver.Queue.Plug();
            for (int i = random.Next(1, 5); i > 0 && _underWay.Count(request => request is not null) < depth; i--)
                Start();
            if (plug)
                driver.Queue.Unplug();
            if (random.Next(3) > 0)
                Finish();
        }

        while (_underWay.Any(request => request is not null))
            Finish();
    }

    /// <summary>Whether each byte is zero or what it was.</summary>
    public static bool IsGone(ReadOnlySpan<byte> after, ReadOnlySpan<byte> before)
    {
        for (int i = 0; i < after.Length; i++)
        {
            if (after[i] != 0 && after[i] != before[i])
                return false;
        }

        return true;
    }

    private void Start()
    {
        BlockTargetInfo info = disk.Info;
        BlockIoKind kind = random.Next(100) switch
        {
            < 40 => BlockIoKind.Read,
            < 80 => BlockIoKind.Write,
            < 97 => info.Discard == Capability.None ? BlockIoKind.Read : BlockIoKind.Discard,
            _ => info.Flush == Capability.None ? BlockIoKind.Read : BlockIoKind.Flush,
        };
        int sector = info.LogicalSectorSize;
        int length = kind == BlockIoKind.Flush ? 0 : random.Next(1, (44 * 1024 / sector) + 1) * sector;
        int offset = kind == BlockIoKind.Flush ? 0 : random.Next((disk.Content.Length - length) / sector + 1) * sector;
        if (_underWay.Any(other => other is not null && offset < other.Offset + other.Length && other.Offset < offset + length))
            return;

        int slot = Array.FindIndex(_underWay, request => request is null);
        _underWay[slot] = new Request(kind, offset, length);
        random.NextBytes(driver.Buffer(slot)[..length]);
        if (kind == BlockIoKind.Write && !forgets)
            driver.Buffer(slot)[..length].CopyTo(disk.Content.AsSpan(offset));
        driver.Start(kind, slot, offset, length);
    }

    private void Finish()
    {
        if (_underWay.All(request => request is null))
            return;

        int slot = driver.WaitForAny();
        Request request = _underWay[slot]!;
        Assert.That(driver.Wait(slot), Is.EqualTo(BlockStatus.Okay), request.ToString());
        if (request.Kind == BlockIoKind.Discard)
        {
            Reread(slot, request);
            return;
        }

        _underWay[slot] = null;
        if (request.Kind == BlockIoKind.Read && !Read(slot, request).SequenceEqual(Expected(request)))
            Assert.Fail($"{request} gave other bytes than were written there.");
    }

    // What a discard made of its range is looked up and is then what the range has.
    private void Reread(int slot, Request request)
    {
        driver.Start(BlockIoKind.Read, slot, request.Offset, request.Length);
        Assert.That(driver.Wait(slot), Is.EqualTo(BlockStatus.Okay), request.ToString());
        if (!IsGone(Read(slot, request), Expected(request)))
            Assert.Fail($"{request} left neither zeros nor what was there.");
        Read(slot, request).CopyTo(Expected(request));
        _underWay[slot] = null;
    }

    private Span<byte> Read(int slot, Request request) => driver.Buffer(slot)[..request.Length];

    private Span<byte> Expected(Request request) => disk.Content.AsSpan(request.Offset, request.Length);

    private sealed record Request(BlockIoKind Kind, int Offset, int Length);
}
