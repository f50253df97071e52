using Microsoft.Extensions.Logging;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Memory;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;
using Xen.Blkif.Tests.Backend;
using Xen.Blkif.Tests.Testing;

namespace Xen.Blkif.Tests.Engine;

[TestFixture(BlkifProtocol.X64)]
[TestFixture(BlkifProtocol.X86)]
[TestFixture(BlkifProtocol.Native)]
[Parallelizable(ParallelScope.All)]
internal sealed class IndirectRequestTests(BlkifProtocol protocol)
{
    private const int Most = 256;
    private const int DiskLength = 4 << 20;

    private static readonly GrantReference Bad = new(0xFFFF_FFF0);

    private FrontendOptions Options => new() { Protocol = protocol, Depth = 8, MaxIndirectSegments = Most };

    [Test]
    public void A_write_of_any_number_of_segments_reaches_the_target_and_a_read_brings_it_back([Values(1, 11, 12, 255, 256)] int segments)
    {
        var target = new MemoryTarget(DiskLength);
        using var pair = new QueuePair(target, Options);
        new Random(segments).NextBytes(pair.Frontend.Buffer(0));
        byte[] written = pair.Frontend.Buffer(0)[..(segments * 4096)].ToArray();

        pair.Frontend.PutIndirect(BlkifOperation.Write, 0, sector: 80, Pages(pair.Frontend, 0, segments));
        pair.Run();
        Assert.That(Responses(pair), Is.EqualTo(new[] { new FrontendCompletion(0, BlkifOperation.Write, BlkifStatus.Okay) }));

        pair.Frontend.PutIndirect(BlkifOperation.Read, 1, sector: 80, Pages(pair.Frontend, 1, segments));
        pair.Run();
        Assert.That(Responses(pair), Is.EqualTo(new[] { new FrontendCompletion(1, BlkifOperation.Read, BlkifStatus.Okay) }));
        Assert.That(pair.Frontend.Buffer(1)[..written.Length].SequenceEqual(written), Is.True);
        Assert.That(pair.Frontend.Buffer(1)[written.Length..].IndexOfAnyExcept((byte)0), Is.EqualTo(-1), "nothing behind the last segment is touched");
    }

    [Test]
    public void Parts_of_pages_are_transferred_in_the_order_of_the_segments()
    {
        var target = new MemoryTarget(DiskLength);
        target.CopyFrom(512, Enumerable.Range(0, 15 * 512).Select(i => (byte)((i / 512) + 1)).ToArray());
        using var pair = new QueuePair(target, Options);
        FrontendQueue queue = pair.Frontend;

        queue.PutIndirect(BlkifOperation.Read, 0, 1, Enumerable.Range(0, 15).Select(i => new BlkifSegment(queue.GrantOf(0, 14 - i), (byte)(i % 8), (byte)(i % 8))).ToArray());
        pair.Run();

        Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Okay));
        for (int i = 0; i < 15; i++)
            Assert.That(queue.Buffer(0).Slice(((14 - i) * 4096) + (i % 8 * 512), 512).ToArray(), Is.All.EqualTo(i + 1), $"segment {i}");
    }

    [TestCase(BlkifOperation.Read)]
    [TestCase(BlkifOperation.Write)]
    public void A_guest_that_was_offered_none_hears_that_they_are_not_supported(BlkifOperation operation)
    {
        var target = new ScriptedTarget(DiskLength);
        using var pair = new QueuePair(target, Options);
        pair.Engine.Limits = target.Info.ToRequestLimits();
        pair.Frontend.PutIndirect(operation, 3, 0, Pages(pair.Frontend, 0, 12));
        pair.Run();
        Assert.That(Responses(pair).Single(), Is.EqualTo(new FrontendCompletion(3, operation, BlkifStatus.NotSupported)));
        Assert.That(pair.Xen.Grants.Copies, Is.Zero);
        Assert.That(pair.Engine.Statistics.RefusedFor(Refusal.UnsupportedOperation), Is.EqualTo(1));
    }

    [TestCase(0, 0, Refusal.Empty)]
    [TestCase(1, 0, Refusal.Empty)]
    [TestCase(0, 33, Refusal.TooManySegments)]
    [TestCase(1, 256, Refusal.TooManySegments)]
    [TestCase(0, 257, Refusal.TooManySegments)]
    [TestCase(0, 513, Refusal.TooManySegments)]
    [TestCase(0, 65535, Refusal.TooManySegments)]
    [TestCase(2, 12, Refusal.NoTransfer)]
    [TestCase(3, 12, Refusal.NoTransfer)]
    [TestCase(5, 12, Refusal.NoTransfer)]
    [TestCase(6, 12, Refusal.NoTransfer)]
    [TestCase(255, 12, Refusal.NoTransfer)]
    public void What_no_frontend_may_ask_is_refused_before_a_byte_of_it_is_fetched(byte meaning, int segments, Refusal expected)
    {
        var target = new ScriptedTarget(DiskLength);
        using var pair = new QueuePair(target, Options with { MaxIndirectSegments = 32 });
        pair.Frontend.PutIndirect((BlkifOperation)meaning, 9, 0, (ushort)segments, pair.Frontend.SegmentGrantOf(0));
        pair.Run();
        Assert.That(Responses(pair).Single(), Is.EqualTo(new FrontendCompletion(9, (BlkifOperation)meaning, BlkifStatus.Error)));
        Assert.That(pair.Engine.Statistics.RefusedFor(expected), Is.EqualTo(1));
        Assert.That(pair.Xen.Grants.Copies, Is.Zero);
        Assert.That(target.Calls, Is.Empty);
    }

    [TestCase(5, 4, 0UL, Refusal.SegmentReversed)]
    [TestCase(0, 8, 0UL, Refusal.SegmentOutsidePage)]
    [TestCase(255, 255, 0UL, Refusal.SegmentOutsidePage)]
    [TestCase(0, 7, (DiskLength / 512) - 8UL, Refusal.BeyondEnd)]
    [TestCase(0, 7, 1UL << 55, Refusal.BeyondEnd)]
    [TestCase(0, 7, ulong.MaxValue - 95, Refusal.BeyondEnd)]
    public void Segments_that_are_wrong_are_found_in_the_copy_at_any_position(byte first, byte last, ulong sector, Refusal expected)
    {
        var target = new ScriptedTarget(DiskLength);
        using var pair = new QueuePair(target, Options);
        for (int position = 0; position < 12; position++)
        {
            BlkifSegment[] segments = Pages(pair.Frontend, 0, 12);
            segments[position] = new BlkifSegment(pair.Frontend.GrantOf(0, position), first, last);
            pair.Frontend.PutIndirect(BlkifOperation.Write, 0, sector, segments);
            pair.Run();
            Assert.That(Responses(pair).Single(), Is.EqualTo(new FrontendCompletion(0, BlkifOperation.Write, BlkifStatus.Error)));
            Assert.That(pair.Engine.Statistics.RefusedFor(expected), Is.EqualTo(position + 1));
        }

        Assert.That(pair.Xen.Grants.CopiedSegments, Is.EqualTo(12), "the pages of segments, and no data");
        Assert.That(target.Calls, Is.Empty);
    }

    [Test]
    public void Segments_must_be_multiples_of_the_logical_sector()
    {
        var target = new ScriptedTarget { Info = new BlockTargetInfo(DiskLength) { LogicalSectorSize = 4096, PhysicalSectorSize = 4096, DiscardGranularity = 4096 } };
        using var pair = new QueuePair(target, Options);
        BlkifSegment[] segments = Pages(pair.Frontend, 0, 12);
        segments[11] = new BlkifSegment(segments[11].Reference, 0, 6);
        pair.Frontend.PutIndirect(BlkifOperation.Read, 0, 0, segments);
        pair.Run();
        Assert.That(pair.Engine.Statistics.RefusedFor(Refusal.Misaligned), Is.EqualTo(1));
        Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Error));
    }

    [Test]
    [Property("Advisory", "CVE-2013-2140")]
    public void A_read_only_disk_refuses_an_indirect_write_and_takes_an_indirect_read()
    {
        using var pair = new QueuePair(new ReadOnlyTarget(new MemoryTarget(DiskLength)), Options);
        pair.Frontend.PutIndirect(BlkifOperation.Write, 0, 0, Pages(pair.Frontend, 0, 12));
        pair.Frontend.PutIndirect(BlkifOperation.Read, 1, 0, Pages(pair.Frontend, 1, 12));
        pair.Run();
        Assert.That(Responses(pair), Is.EquivalentTo(new[]
        {
            new FrontendCompletion(0, BlkifOperation.Write, BlkifStatus.Error),
            new FrontendCompletion(1, BlkifOperation.Read, BlkifStatus.Okay),
        }));
    }

    [TestCase(BlkifOperation.Read)]
    [TestCase(BlkifOperation.Write)]
    public void A_page_of_segments_that_cannot_be_fetched_fails_that_request_alone(BlkifOperation operation)
    {
        var target = new ScriptedTarget(DiskLength) { Answer = _ => BlockStatus.Okay };
        using var pair = new QueuePair(target, Options);
        FrontendQueue queue = pair.Frontend;
        queue.PutIndirect(operation, 0, 8, Pages(queue, 0, 12));
        queue.PutIndirect(operation, 100, 16, 12, Bad);
        queue.Put(operation, 2, 24, 4096);
        queue.PutIndirect(operation, 3, 32, Pages(queue, 3, 13));
        pair.Run();
        Assert.That(Responses(pair), Is.EquivalentTo(new[]
        {
            new FrontendCompletion(0, operation, BlkifStatus.Okay),
            new FrontendCompletion(100, operation, BlkifStatus.Error),
            new FrontendCompletion(2, operation, BlkifStatus.Okay),
            new FrontendCompletion(3, operation, BlkifStatus.Okay),
        }));
        Assert.That(target.Calls, Is.EqualTo(new[] { $"{operation} 4096+49152", $"{operation} 12288+4096", $"{operation} 16384+53248" }));
    }

    [TestCase(BlkifOperation.Read)]
    [TestCase(BlkifOperation.Write)]
    [Property("Advisory", "XSA-365")]
    public void A_bad_grant_at_any_position_fails_that_request_alone_with_one_response(BlkifOperation operation)
    {
        using var pair = new QueuePair(new MemoryTarget(DiskLength), Options);
        FrontendQueue queue = pair.Frontend;
        for (int bad = 0; bad < 40; bad++)
        {
            BlkifSegment[] segments = Pages(queue, 0, 40);
            segments[bad] = new BlkifSegment(Bad, 0, 7);
            queue.PutIndirect(operation, 0, 0, segments);
            queue.PutIndirect(operation, 1, 0, Pages(queue, 1, 40));
            pair.Run();
            Assert.That(Responses(pair), Is.EquivalentTo(new[]
            {
                new FrontendCompletion(0, operation, BlkifStatus.Error),
                new FrontendCompletion(1, operation, BlkifStatus.Okay),
            }));
        }
    }

    [Test]
    [Property("Advisory", "XSA-155")]
    public void A_page_of_segments_is_read_once_and_what_the_guest_writes_there_afterwards_changes_nothing()
    {
        int reads = 0;
        QueuePair? pair = null;
        using (pair = new QueuePair(new MemoryTarget(DiskLength), Options, grants: real => new WatchedGrants(real, pieces =>
               {
                   foreach (GrantCopySegment piece in pieces)
                   {
                       if (piece.Reference.Equals(pair!.Frontend.SegmentGrantOf(0)))
                           reads++;
                   }

                   // Right behind the copy: the check comes after this, and sees what was there before.
                   pair!.Frontend.SegmentPage(0).Fill(new BlkifSegment(pair.Frontend.GrantOf(1, 0), 255, 3));
               })))
        {
            pair.Frontend.Buffer(0).Fill(0x77);
            pair.Frontend.PutIndirect(BlkifOperation.Write, 0, 0, Pages(pair.Frontend, 0, 20));
            pair.Run();
            Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Okay));
            Assert.That(reads, Is.EqualTo(1));

            pair.Frontend.PutIndirect(BlkifOperation.Read, 0, 0, Pages(pair.Frontend, 0, 20));
            pair.Frontend.Buffer(0).Clear();
            pair.Run();
            Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Okay));
            Assert.That(pair.Frontend.Buffer(0)[..(20 * 4096)].IndexOfAnyExcept((byte)0x77), Is.EqualTo(-1), "all pages that were named when it was read");
            Assert.That(pair.Frontend.Buffer(1).IndexOfAnyExcept((byte)0), Is.EqualTo(-1));
            Assert.That(reads, Is.EqualTo(2), "once for each request");
        }
    }

    [Test]
    public void Of_a_page_of_segments_no_more_is_read_than_there_are_segments()
    {
        var lengths = new List<int>();
        QueuePair? pair = null;
        using (pair = new QueuePair(new MemoryTarget(DiskLength), Options, grants: real => new WatchedGrants(real, pieces =>
               {
                   foreach (GrantCopySegment piece in pieces)
                   {
                       if (piece.Reference.Equals(pair!.Frontend.SegmentGrantOf(0)))
                           lengths.Add(piece.Length);
                   }
               })))
        {
            foreach (int segments in new[] { 1, 12, 256 })
            {
                pair.Frontend.PutIndirect(BlkifOperation.Read, 0, 0, Pages(pair.Frontend, 0, segments));
                pair.Run();
            }

            Assert.That(lengths, Is.EqualTo(new[] { 8, 96, 2048 }));
            Assert.That(Responses(pair), Has.Count.EqualTo(3));
        }
    }

    [Test]
    public void A_page_that_is_paged_out_for_a_moment_is_asked_for_again()
    {
        using var pair = new QueuePair(new MemoryTarget(DiskLength), Options);
        int times = 0;
        pair.Xen.Grants.CopyFault = (_, page) => page.Equals(pair.Frontend.SegmentGrantOf(0)) && ++times <= 2 ? GrantStatus.TryAgain : GrantStatus.Okay;
        pair.Frontend.PutIndirect(BlkifOperation.Write, 0, 0, Pages(pair.Frontend, 0, 12));
        pair.Run();
        Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Okay));
        Assert.That(times, Is.EqualTo(3));
    }

    [Test]
    public void The_segments_of_all_requests_of_a_pass_come_with_one_call_and_so_does_their_data()
    {
        using var pair = new QueuePair(new MemoryTarget(DiskLength), Options);
        for (int slot = 0; slot < 8; slot++)
            pair.Frontend.PutIndirect(BlkifOperation.Write, slot, (ulong)slot * 512, Pages(pair.Frontend, slot, 32));
        pair.Run();
        Assert.That(Responses(pair), Has.Count.EqualTo(8));
        Assert.That(pair.Xen.Grants.Copies, Is.EqualTo(2));
        Assert.That(pair.Xen.Grants.CopiedSegments, Is.EqualTo(8 + (8 * 32)));
    }

    [Test]
    public void With_room_for_few_at_once_the_rest_waits_in_the_ring_and_every_request_is_answered_once()
    {
        var target = new ScriptedTarget(DiskLength);
        using var pair = new QueuePair(target, Options, maxIndirectRequests: 3);
        for (int slot = 0; slot < 8; slot++)
            pair.Frontend.PutIndirect(BlkifOperation.Read, slot, 0, Pages(pair.Frontend, slot, 12));

        var ids = new List<ulong>();
        while (ids.Count < 8)
        {
            pair.Run();
            Assert.That(pair.Engine.InFlight, Is.InRange(1, 3));
            if (pair.Engine.InFlight == 3)
                Assert.That(pair.Engine.PrepareToSleep(), Is.True, "there is nothing it could do");
            target.CompleteAll();
            pair.Run();
            ids.AddRange(Responses(pair).Select(r => r.Id));
        }

        Assert.That(ids, Is.Unique.And.Count.EqualTo(8));
        target.CompleteAll();
        pair.Run();
    }

    [Test]
    public void With_no_room_the_engine_sleeps_until_a_result_comes_and_then_takes_more_of_any_size()
    {
        var target = new ScriptedTarget(DiskLength);
        using var pair = new QueuePair(target, Options, maxIndirectRequests: 1);
        pair.Frontend.PutIndirect(BlkifOperation.Read, 0, 0, Pages(pair.Frontend, 0, 12));
        pair.Frontend.PutIndirect(BlkifOperation.Read, 1, 0, Pages(pair.Frontend, 1, 12));
        pair.Frontend.Put(BlkifOperation.Read, 2, 0, 512);
        pair.Run();
        Assert.That(target.Pending, Has.Count.EqualTo(1));
        Assert.That(pair.Engine.PrepareToSleep(), Is.True, "there is nothing it could do");
        target.CompleteAll();
        pair.Run();
        Assert.That(Responses(pair).Single().Id, Is.Zero);
        Assert.That(target.Pending, Has.Count.EqualTo(2), "the next one has its turn, and what was behind it");
        target.CompleteAll();
        pair.Run();
        Assert.That(Responses(pair).Select(response => response.Id), Is.EquivalentTo(new[] { 1, 2 }));
    }

    [Test]
    public void A_request_that_there_is_no_memory_for_fails_alone_and_the_log_says_so_at_a_bounded_rate()
    {
        bool hasMemory = true;
        var log = new LogLines();
        using var pair = new QueuePair(new MemoryTarget(DiskLength), Options, logger: log.CreateLogger("engine"), configure: settings => settings with
        {
            MakeBuffer = length => hasMemory ? new NativeBuffer(length) : throw new InsufficientMemoryException(),
        });
        hasMemory = false;
        for (int round = 0; round < 100; round++)
        {
            pair.Frontend.PutIndirect(BlkifOperation.Read, 0, 0, Pages(pair.Frontend, 0, 12));
            pair.Frontend.Put(BlkifOperation.Read, 1, 0, 4096);
            pair.Run();
            Assert.That(Responses(pair), Is.EquivalentTo(new[]
            {
                new FrontendCompletion(0, BlkifOperation.Read, BlkifStatus.Error),
                new FrontendCompletion(1, BlkifOperation.Read, BlkifStatus.Okay),
            }));
        }

        Assert.That((pair.Engine.Statistics.Reads.Failed, pair.Engine.Statistics.Reads.Done), Is.EqualTo((100, 100)));
        Assert.That(log.AtLeast(LogLevel.Error).Count(line => line.Contains("no memory for a request of 12 segments", StringComparison.Ordinal)), Is.InRange(1, 11));

        hasMemory = true;
        pair.Frontend.PutIndirect(BlkifOperation.Read, 0, 0, Pages(pair.Frontend, 0, 12));
        pair.Run();
        Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Okay));
    }

    [Test]
    public void Requests_that_are_refused_or_fail_give_their_room_back([Values(0, 1, 2)] int way)
    {
        using var pair = new QueuePair(
            new FaultTarget(new MemoryTarget(DiskLength), (in BlockIo _) => BlockStatus.Error), Options, maxIndirectRequests: 1);
        for (int round = 0; round < 50; round++)
        {
            switch (way)
            {
                case 0: // the page of segments
                    pair.Frontend.PutIndirect(BlkifOperation.Write, 0, 0, 12, Bad);
                    break;
                case 1: // what is in it
                    pair.Frontend.PutIndirect(BlkifOperation.Write, 0, ulong.MaxValue, Pages(pair.Frontend, 0, 12));
                    break;
                default: // the target
                    pair.Frontend.PutIndirect(BlkifOperation.Write, 0, 0, Pages(pair.Frontend, 0, 12));
                    break;
            }

            pair.Run();
            Assert.That(Responses(pair), Is.EqualTo(new[] { new FrontendCompletion(0, BlkifOperation.Write, BlkifStatus.Error) }));
            Assert.That(pair.Engine.InFlight, Is.Zero);
        }
    }

    [Test]
    public void A_read_that_fails_leaves_the_guests_pages_as_they_were()
    {
        var target = new FaultTarget(new MemoryTarget(DiskLength), (in BlockIo _) => BlockStatus.Error);
        using var pair = new QueuePair(target, Options);
        pair.Frontend.Buffer(0).Fill(0x55);
        pair.Frontend.PutIndirect(BlkifOperation.Read, 0, 0, Pages(pair.Frontend, 0, 32));
        pair.Run();
        Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Error));
        Assert.That(pair.Frontend.Buffer(0).IndexOfAnyExcept((byte)0x55), Is.EqualTo(-1));
    }

    [Test]
    public void Statistics_count_what_an_indirect_request_meant()
    {
        using var pair = new QueuePair(new MemoryTarget(DiskLength), Options);
        pair.Frontend.PutIndirect(BlkifOperation.Read, 0, 0, Pages(pair.Frontend, 0, 12));
        pair.Frontend.PutIndirect(BlkifOperation.Write, 1, 0, Pages(pair.Frontend, 1, 13));
        pair.Frontend.PutIndirect(BlkifOperation.Write, 2, 0, 12, Bad);
        pair.Frontend.PutIndirect(BlkifOperation.Read, 3, ulong.MaxValue, Pages(pair.Frontend, 3, 12));
        pair.Frontend.PutIndirect(BlkifOperation.Discard, 4, 0, Pages(pair.Frontend, 4, 12));
        pair.Run();

        var statistics = pair.Engine.Statistics;
        Assert.That((statistics.Reads.Done, statistics.Reads.Refused, statistics.Reads.Bytes), Is.EqualTo((1, 1, 12 * 4096)));
        Assert.That((statistics.Writes.Done, statistics.Writes.Failed, statistics.Writes.Bytes), Is.EqualTo((1, 1, 13 * 4096)));
        Assert.That((statistics.Discards.Done, statistics.Discards.Refused, statistics.Others.Refused), Is.EqualTo((0, 1, 0)));
        Assert.That(statistics.Requests, Is.EqualTo(5));
    }

    [Test]
    public void An_indirect_request_allocates_nothing_once_there_is_room_for_it()
    {
        using var pair = new QueuePair(new MemoryTarget(DiskLength), Options);

        // Of one sector each: what costs time here is to copy.
        BlkifSegment[] wrong = Pages(pair.Frontend, 2, 12), first = [.. wrong.Select(page => new BlkifSegment(page.Reference, 3, 3))];
        BlkifSegment[] second = [.. Pages(pair.Frontend, 1, 32).Select(page => new BlkifSegment(page.Reference, 7, 7))];
        long allocated = Allocations.Of(() =>
        {
            pair.Frontend.PutIndirect(BlkifOperation.Read, 0, 0, first);
            pair.Frontend.PutIndirect(BlkifOperation.Write, 1, 512, second);
            pair.Frontend.PutIndirect(BlkifOperation.Write, 2, ulong.MaxValue, wrong);
            pair.Run();
            while (pair.Frontend.TryTake(out _))
            {
                // Only the number of allocations matters.
            }
        });
        Assert.That(allocated, Is.Zero);
    }

    [Test]
    public void Any_mixture_of_honest_and_hostile_requests_ends_as_the_model_says_with_one_response_for_each([Range(1, 8)] int seed)
    {
        TestContext.Out.WriteLine($"seed {seed}");
        var random = new Random(seed);
        using var pair = new QueuePair(new MemoryTarget(DiskLength), Options, maxIndirectRequests: 1 + (seed % 8));
        byte[] model = new byte[DiskLength];
        for (int round = 0; round < 15; round++)
        {
            var expected = new Dictionary<ulong, (FrontendCompletion Response, byte[]? Data)>();
            for (int slot = 0; slot < 8; slot++)
                expected.Add((ulong)slot, PutAny(pair.Frontend, slot, model, random));

            pair.Run();
            foreach (FrontendCompletion response in Responses(pair))
            {
                Assert.That(expected.Remove(response.Id, out (FrontendCompletion Response, byte[]? Data) entry), Is.True, "answered once");
                Assert.That(response, Is.EqualTo(entry.Response));
                if (entry.Data is { } data)
                    Assert.That(pair.Frontend.Buffer((int)response.Id)[..data.Length].SequenceEqual(data), Is.True);
            }

            Assert.That(expected, Is.Empty, "all are answered");
            Assert.That(pair.Engine.InFlight, Is.Zero);
        }
    }

    // Every slot has a part of the disk of its own: in which order a pass does its requests is not the question here.
    private static (FrontendCompletion Response, byte[]? Data) PutAny(FrontendQueue queue, int slot, byte[] model, Random random)
    {
        const int Part = DiskLength / 512 / 8;
        BlkifOperation operation = random.Next(2) == 0 ? BlkifOperation.Read : BlkifOperation.Write;
        var segments = new BlkifSegment[random.Next(1, random.Next(4) == 0 ? Most + 1 : 40)];
        random.NextBytes(queue.Buffer(slot)[..(segments.Length * 4096)]);
        int total = 0;
        for (int i = 0; i < segments.Length; i++)
        {
            int first = random.Next(4) == 0 ? random.Next(8) : 0;
            int last = random.Next(4) == 0 ? random.Next(first, 8) : Math.Max(first, 7);
            segments[i] = new BlkifSegment(queue.GrantOf(slot, i), (byte)first, (byte)last);
            total += last - first + 1;
        }

        bool fits = total <= Part;
        ulong sector = fits ? (ulong)((slot * Part) + random.Next(Part - total + 1)) : (ulong)(DiskLength / 512);
        bool bad = !fits;
        int victim = random.Next(segments.Length);
        switch (random.Next(8))
        {
            case 0:
                segments[victim] = new BlkifSegment(Bad, segments[victim].FirstSector, segments[victim].LastSector);
                bad = true;
                break;
            case 1:
                segments[victim] = new BlkifSegment(segments[victim].Reference, (byte)(segments[victim].LastSector + 1), segments[victim].LastSector);
                bad = true;
                break;
            case 2:
                sector = (ulong)random.NextInt64() << 1 | 1UL << 63;
                bad = true;
                break;
        }

        queue.PutIndirect(operation, slot, sector, segments);
        var response = new FrontendCompletion((ulong)slot, operation, bad ? BlkifStatus.Error : BlkifStatus.Okay);
        byte[] buffer = queue.Buffer(slot)[..(segments.Length * 4096)].ToArray();
        if (bad)
            return (response, operation == BlkifOperation.Write ? buffer : null);

        int at = (int)sector * 512;
        for (int i = 0; i < segments.Length; i++)
        {
            int length = (segments[i].LastSector - segments[i].FirstSector + 1) * 512;
            Span<byte> piece = buffer.AsSpan((i * 4096) + (segments[i].FirstSector * 512), length);
            if (operation == BlkifOperation.Read)
                model.AsSpan(at, length).CopyTo(piece);
            else
                piece.CopyTo(model.AsSpan(at));
            at += length;
        }

        return (response, buffer);
    }

    private static BlkifSegment[] Pages(FrontendQueue queue, int slot, int count) =>
        Enumerable.Range(0, count).Select(page => new BlkifSegment(queue.GrantOf(slot, page), 0, 7)).ToArray();

    private static List<FrontendCompletion> Responses(QueuePair pair)
    {
        var responses = new List<FrontendCompletion>();
        while (pair.Frontend.TryTake(out FrontendCompletion completion))
            responses.Add(completion);
        return responses;
    }

    private delegate void Look(ReadOnlySpan<GrantCopySegment> pieces);

    private sealed class WatchedGrants(IGrantTable real, Look copied) : IGrantTable
    {
        public IGrantMapping Map(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable) => real.Map(domain, references, writable);

        public IGrantMapping MapRing(DomainId domain, ReadOnlySpan<GrantReference> references, IEventChannel channel) => real.MapRing(domain, references, channel);

        public nint TryMap(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable) => real.TryMap(domain, references, writable);

        public bool TryUnmap(nint address, int pages) => real.TryUnmap(address, pages);

        public bool Copy(Span<GrantCopySegment> segments)
        {
            bool done = real.Copy(segments);
            copied(segments);
            return done;
        }
    }
}
