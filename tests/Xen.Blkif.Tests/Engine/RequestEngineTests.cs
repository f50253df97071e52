using System.Diagnostics;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;
using Xen.Blkif.Tests.Testing;

namespace Xen.Blkif.Tests.Engine;

[TestFixture(BlkifProtocol.X64)]
[TestFixture(BlkifProtocol.X86)]
[Parallelizable(ParallelScope.All)]
internal sealed class RequestEngineTests(BlkifProtocol protocol)
{
    private const ulong Bad = 0xFFFF_FFF0;

    // Indirect requests have tests of their own.
    private FrontendOptions Options => new() { Protocol = protocol, MaxIndirectSegments = 0 };

    [Test]
    public void A_write_reaches_the_target_and_a_read_brings_it_back()
    {
        using var pair = new QueuePair(new MemoryTarget(1 << 20), Options);
        new Random(1).NextBytes(pair.Frontend.Buffer(0));
        byte[] written = pair.Frontend.Buffer(0).ToArray();

        pair.Frontend.Put(BlkifOperation.Write, 0, sector: 80, written.Length);
        pair.Run();
        Assert.That(Responses(pair), Is.EqualTo(new[] { new FrontendCompletion(0, BlkifOperation.Write, BlkifStatus.Okay) }));

        pair.Frontend.Put(BlkifOperation.Read, 1, sector: 80, written.Length);
        pair.Run();
        Assert.That(Responses(pair), Is.EqualTo(new[] { new FrontendCompletion(1, BlkifOperation.Read, BlkifStatus.Okay) }));
        Assert.That(pair.Frontend.Buffer(1).ToArray(), Is.EqualTo(written));
    }

    [Test]
    public void Parts_of_pages_are_transferred_in_the_order_of_the_segments()
    {
        var target = new MemoryTarget(1 << 20);
        target.CopyFrom(512, Enumerable.Range(0, 3 * 512).Select(i => (byte)(i / 512 + 1)).ToArray());
        using var pair = new QueuePair(target, Options);
        FrontendQueue queue = pair.Frontend;

        queue.Put(BlkifOperation.Read, 7, 1, [new BlkifSegment(queue.GrantOf(0, 3), 7, 7), new BlkifSegment(queue.GrantOf(0, 1), 2, 3)]);
        pair.Run();

        Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Okay));
        Assert.That(queue.Buffer(0)[(3 * 4096) + (7 * 512)], Is.EqualTo(1));
        Assert.That(queue.Buffer(0)[4096 + (2 * 512)], Is.EqualTo(2));
        Assert.That(queue.Buffer(0)[4096 + (3 * 512)], Is.EqualTo(3));
        Assert.That(queue.Buffer(0)[..4096].ToArray(), Is.All.Zero);
    }

    [Test]
    public void A_flush_with_data_flushes_first_and_then_writes()
    {
        var target = new ScriptedTarget { Answer = _ => BlockStatus.Okay };
        using var pair = new QueuePair(target, Options);
        pair.Frontend.Put(BlkifOperation.FlushDiskCache, 0, 8, 4096);
        pair.Run();
        Assert.That(target.Calls, Is.EqualTo(new[] { "Flush", "Write 4096+4096" }));
        Assert.That(Responses(pair).Single(), Is.EqualTo(new FrontendCompletion(0, BlkifOperation.FlushDiskCache, BlkifStatus.Okay)));
    }

    [Test]
    public void A_flush_with_data_does_not_write_when_the_flush_fails()
    {
        var target = new ScriptedTarget { Answer = io => io.Kind == BlockIoKind.Flush ? BlockStatus.Error : BlockStatus.Okay };
        using var pair = new QueuePair(target, Options);
        pair.Frontend.Put(BlkifOperation.FlushDiskCache, 0, 8, 4096);
        pair.Run();
        Assert.That(target.Calls, Is.EqualTo(new[] { "Flush" }));
        Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Error));
    }

    [Test]
    public void A_long_discard_is_split_at_what_the_target_takes_at_once()
    {
        var target = new ScriptedTarget
        {
            Info = new BlockTargetInfo(1 << 20) { Discard = Capability.Native, MaxDiscardLength = 4096 },
        };
        using var pair = new QueuePair(target, Options);
        pair.Frontend.PutDiscard(5, sector: 1, sectors: 20);
        for (int piece = 0; piece < 3; piece++)
        {
            pair.Run();
            Assert.That(Responses(pair), Is.Empty, "one response, after the last piece");
            target.CompleteAll();
        }

        pair.Run();
        Assert.That(target.Calls, Is.EqualTo(new[] { "Discard 512+4096", "Discard 4608+4096", "Discard 8704+2048" }));
        Assert.That(Responses(pair).Single(), Is.EqualTo(new FrontendCompletion(5, BlkifOperation.Discard, BlkifStatus.Okay)));
        Assert.That(pair.Engine.Statistics.Discards.Bytes, Is.EqualTo(20 * 512));
    }

    [Test]
    public void A_discard_whose_second_piece_fails_fails_and_ends_there()
    {
        var target = new ScriptedTarget
        {
            Info = new BlockTargetInfo(1 << 20) { Discard = Capability.Native, MaxDiscardLength = 4096 },
            Answer = io => io.Offset == 4096 ? BlockStatus.Error : BlockStatus.Okay,
        };
        using var pair = new QueuePair(target, Options);
        pair.Frontend.PutDiscard(5, sector: 0, sectors: 80);
        pair.Run();
        Assert.That(target.Calls, Has.Count.EqualTo(2));
        Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Error));
    }

    [TestCase(2, Description = "barrier")]
    [TestCase(4, Description = "reserved")]
    [TestCase(7, Description = "unknown")]
    [TestCase(255, Description = "unknown")]
    public void What_is_not_offered_is_answered_as_not_supported(byte operation)
    {
        using var pair = new QueuePair(new MemoryTarget(1 << 20), Options);
        pair.Frontend.Put((BlkifOperation)operation, ulong.MaxValue, 0, []);
        pair.Run();
        Assert.That(Responses(pair).Single(), Is.EqualTo(new FrontendCompletion(ulong.MaxValue, (BlkifOperation)operation, BlkifStatus.NotSupported)));
        Assert.That(pair.Engine.Statistics.Others.Refused, Is.EqualTo(1));
    }

    [TestCase(BlkifOperation.Read)]
    [TestCase(BlkifOperation.Write)]
    [TestCase(BlkifOperation.FlushDiskCache)]
    [Property("Advisory", "XSA-365")]
    public void A_bad_grant_at_any_position_fails_that_request_alone_with_one_response(BlkifOperation operation)
    {
        using var pair = new QueuePair(new MemoryTarget(1 << 20), Options);
        FrontendQueue queue = pair.Frontend;
        for (int bad = 0; bad < 11; bad++)
        {
            BlkifSegment[] segments = Enumerable.Range(0, 11)
                .Select(i => new BlkifSegment(i == bad ? new GrantReference((uint)Bad) : queue.GrantOf(0, i), 0, 7)).ToArray();
            queue.Put(operation, 100, 0, segments);
            queue.Put(operation, 1, 0, 4096);
            pair.Run();
            Assert.That(Responses(pair), Is.EquivalentTo(new[]
            {
                new FrontendCompletion(100, operation, BlkifStatus.Error),
                new FrontendCompletion(1, operation, BlkifStatus.Okay),
            }));
        }
    }

    [Test]
    [Property("Advisory", "QEMU-32d0b7be")]
    public void A_write_whose_data_cannot_be_fetched_does_not_reach_the_target()
    {
        var target = new ScriptedTarget();
        using var pair = new QueuePair(target, Options);
        pair.Frontend.Put(BlkifOperation.Write, 3, 0, [new BlkifSegment(new GrantReference((uint)Bad), 0, 7)]);
        pair.Run();
        Assert.That(target.Calls, Is.Empty);
        Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Error));
    }

    [TestCase(BlkifOperation.Read)]
    [TestCase(BlkifOperation.Write)]
    [Property("Advisory", "XSA-361")]
    public void A_copy_that_fails_as_a_whole_and_reports_on_no_piece_fails_every_request(BlkifOperation operation)
    {
        var target = new ScriptedTarget { Answer = _ => BlockStatus.Okay };
        using var pair = new QueuePair(target, Options, grants: real => new NoCopies(real));
        pair.Frontend.Put(operation, 0, 0, 4096);
        pair.Frontend.Put(operation, 1, 8, 4096);
        pair.Run();
        Assert.That(Responses(pair).Select(r => r.Status), Is.EqualTo(new[] { BlkifStatus.Error, BlkifStatus.Error }));
        Assert.That(target.Calls, Has.None.Contains("Write"));
    }

    [Test]
    public void A_target_that_contradicts_itself_is_not_served()
    {
        var target = new ScriptedTarget { Info = new BlockTargetInfo(1 << 20) { LogicalSectorSize = 4096, MaxDiscardLength = 512, Discard = Capability.Native } };
        Assert.That(() => new QueuePair(target, Options), Throws.InvalidOperationException.With.Message.Contains("MaxDiscardLength is 512"));
    }

    [Test]
    public void A_read_that_fails_leaves_the_guests_page_as_it_was()
    {
        var target = new ScriptedTarget { Answer = io => Scribble(io, BlockStatus.Error) };
        using var pair = new QueuePair(target, Options);
        pair.Frontend.Buffer(0).Fill(0x55);
        pair.Frontend.Put(BlkifOperation.Read, 0, 0, 4096);
        pair.Run();
        Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Error));
        Assert.That(pair.Frontend.Buffer(0)[..4096].ToArray(), Is.All.EqualTo(0x55));
    }

    [Test]
    public void The_data_of_a_read_is_in_the_guest_before_its_response_shows()
    {
        var order = new List<string>();
        QueuePair? pair = null;
        using (pair = new QueuePair(new MemoryTarget(1 << 20), Options, grants: real => new WatchedGrants(real, () =>
               {
                   order.Add(pair!.Frontend.TryTake(out _) ? "response first" : "data first");
               })))
        {
            for (int slot = 0; slot < 4; slot++)
                pair.Frontend.Put(BlkifOperation.Read, slot, 0, 4096);
            pair.Run();
            Assert.That(order, Is.Not.Empty.And.All.EqualTo("data first"));
            Assert.That(Responses(pair), Has.Count.EqualTo(4));
        }
    }

    [Test]
    public void A_page_that_is_paged_out_for_a_moment_is_asked_for_again()
    {
        using var pair = new QueuePair(new MemoryTarget(1 << 20), Options);
        int times = 0;
        pair.Xen.Grants.CopyFault = (_, _) => ++times <= 2 ? GrantStatus.TryAgain : GrantStatus.Okay;
        pair.Frontend.Put(BlkifOperation.Write, 0, 0, 4096);
        pair.Run();
        Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Okay));
        Assert.That(times, Is.EqualTo(3));
    }

    [Test]
    public void A_page_that_stays_paged_out_fails_the_request()
    {
        using var pair = new QueuePair(new MemoryTarget(1 << 20), Options);
        pair.Xen.Grants.CopyFault = (_, _) => GrantStatus.TryAgain;
        pair.Frontend.Put(BlkifOperation.Write, 0, 0, 4096);
        pair.Run();
        Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Error));
    }

    [Test]
    public void A_target_that_throws_fails_the_request_and_nothing_else()
    {
        var target = new ScriptedTarget { Answer = io => io.Offset == 0 ? throw new InvalidOperationException("bug") : BlockStatus.Okay };
        using var pair = new QueuePair(target, Options);
        pair.Frontend.Put(BlkifOperation.Write, 0, 0, 4096);
        pair.Frontend.Put(BlkifOperation.Write, 1, 8, 4096);
        pair.Run();
        Assert.That(Responses(pair).Select(r => r.Status), Is.EqualTo(new[] { BlkifStatus.Error, BlkifStatus.Okay }));
    }

    [Test]
    public void A_target_that_completes_and_then_answers_or_throws_as_well_gives_one_response([Values] bool throws)
    {
        var target = new ScriptedTarget();
        target.Answer = io =>
        {
            target.Completions.Complete(io.Slot, BlockStatus.Okay);
            return throws ? throw new InvalidOperationException("bug") : BlockStatus.Error;
        };
        using var pair = new QueuePair(target, Options);
        for (int round = 0; round < 100; round++)
        {
            pair.Frontend.Put(BlkifOperation.Write, 0, 0, 4096);
            pair.Run();
            Assert.That(Responses(pair), Is.EqualTo(new[] { new FrontendCompletion(0, BlkifOperation.Write, BlkifStatus.Okay) }), "the first counts");
            Assert.That(pair.Engine.InFlight, Is.Zero);
        }
    }

    [TestCase(BlkifOperation.Read, BlkifStatus.Error)]
    [TestCase(BlkifOperation.Write, BlkifStatus.Error)]
    [TestCase(BlkifOperation.FlushDiskCache, BlkifStatus.NotSupported)]
    public void A_target_that_cannot_after_all_fails_transfers_and_withdraws_the_rest(BlkifOperation operation, BlkifStatus expected)
    {
        using var pair = new QueuePair(new ScriptedTarget { Answer = _ => BlockStatus.NotSupported }, Options);
        pair.Frontend.Put(operation, 0, 0, operation == BlkifOperation.FlushDiskCache ? 0 : 512);
        pair.Run();
        Assert.That(Responses(pair).Single().Status, Is.EqualTo(expected));
    }

    // Without others under way, with some, and with many: r is a request, what is between brackets is held together.
    [TestCase(0, 2, "rr")]
    [TestCase(1, 1, "r")]
    [TestCase(2, 1, "[r]")]
    [TestCase(2, 3, "rr[r]")]
    [TestCase(0, 12, "rrrrrrrr[rrrr]")]
    [TestCase(6, 6, "rr[rrrr]")]
    [TestCase(10, 2, "[rr]")]
    public void Requests_are_started_one_by_one_until_the_storage_has_enough_to_do(int before, int requests, string expected)
    {
        var target = new ScriptedTarget();
        using var pair = new QueuePair(target, Options with { Depth = 16 });
        Put(0, before);
        target.Calls.Clear();
        Put(before, before + requests);

        string shape = string.Concat(target.Calls.Select(call => call switch { "plug" => "[", "unplug" => "]", _ => "r" }));
        Assert.That(shape, Is.EqualTo(expected));
        Finish(pair, target);

        void Put(int from, int end)
        {
            for (int slot = from; slot < end; slot++)
                pair.Frontend.Put(BlkifOperation.Read, slot, 0, 512);
            pair.Run();
        }
    }

    [Test]
    public void What_is_done_at_once_is_never_held()
    {
        var target = new ScriptedTarget { Answer = _ => BlockStatus.Okay };
        using var pair = new QueuePair(target, Options with { Depth = 16 });
        for (int slot = 0; slot < 16; slot++)
            pair.Frontend.Put(BlkifOperation.Read, slot, 0, 512);
        pair.Run();
        Assert.That(target.Calls, Has.None.Contains("plug"));
    }

    [Test]
    public void With_fewer_slots_than_requests_every_request_is_still_answered_once()
    {
        var target = new ScriptedTarget();
        using var pair = new QueuePair(target, Options, maxRequests: 3);
        for (int slot = 0; slot < 32; slot++)
            pair.Frontend.Put(BlkifOperation.Read, slot, 0, 512);

        var ids = new List<ulong>();
        while (ids.Count < 32)
        {
            pair.Run();
            Assert.That(pair.Engine.InFlight, Is.LessThanOrEqualTo(3));
            Assert.That(target.Pending, Is.Not.Empty, "the freed slots take more requests");
            target.CompleteAll();
            pair.Run();
            ids.AddRange(Responses(pair).Select(r => r.Id));
        }

        Assert.That(ids, Is.Unique.And.Count.EqualTo(32));
        Finish(pair, target);
    }

    [Test]
    public void With_no_free_slot_the_engine_sleeps_until_a_result_comes_and_then_takes_more()
    {
        var target = new ScriptedTarget();
        using var pair = new QueuePair(target, Options, maxRequests: 1);
        pair.Frontend.Put(BlkifOperation.Read, 0, 0, 512);
        pair.Frontend.Put(BlkifOperation.Read, 1, 0, 512);
        pair.Run();
        Assert.That(pair.Engine.PrepareToSleep(), Is.True, "there is nothing it could do");
        target.CompleteAll();
        Assert.That(pair.Engine.RunPass(), Is.True, "the result came");
        pair.Run();
        Assert.That(target.Pending, Has.Count.EqualTo(1), "the next request has its slot");
        Finish(pair, target);
    }

    [Test]
    public void Many_results_of_one_pass_are_shown_with_one_notification()
    {
        using var pair = new QueuePair(new MemoryTarget(1 << 20), Options);
        for (int slot = 0; slot < 32; slot++)
            pair.Frontend.Put(BlkifOperation.Read, slot, 0, 512);
        pair.Run();
        Assert.That(pair.Engine.Statistics.Requests, Is.EqualTo(32));
        Assert.That(pair.Engine.Statistics.Notifications, Is.EqualTo(1));
    }

    [Test]
    public void A_target_may_complete_from_another_thread_even_before_its_submit_returns()
    {
        var target = new ScriptedTarget();
        target.Answer = io =>
        {
            int slot = io.Slot;
            Task.Run(() => target.Completions.Complete(slot, BlockStatus.Okay)).Wait();
            return BlockStatus.Pending;
        };
        using var pair = new QueuePair(target, Options);
        for (int slot = 0; slot < 8; slot++)
            pair.Frontend.Put(BlkifOperation.Write, slot, 0, 512);
        Assert.That(Enumerable.Range(0, 8).Select(_ => pair.RunForResponse().Id).ToArray(), Is.EquivalentTo(Enumerable.Range(0, 8)));
    }

    [Test]
    public void Completing_a_slot_twice_is_the_targets_error_and_gives_no_second_response()
    {
        var target = new ScriptedTarget();
        using var pair = new QueuePair(target, Options);
        pair.Frontend.Put(BlkifOperation.Read, 0, 0, 512);
        pair.Run();
        int slot = target.Pending.Peek();
        target.CompleteAll();
        Assert.That(() => target.Completions.Complete(slot, BlockStatus.Okay), Throws.InvalidOperationException);
        pair.Run();
        Assert.That(Responses(pair), Has.Count.EqualTo(1));
        Assert.That(() => target.Completions.Complete(slot, BlockStatus.Okay), Throws.InvalidOperationException);
        Assert.That(() => target.Completions.Complete(99_999, BlockStatus.Okay), Throws.InvalidOperationException);
    }

    [Test]
    public void A_draining_engine_takes_nothing_new_and_answers_what_is_under_way()
    {
        var target = new ScriptedTarget();
        using var pair = new QueuePair(target, Options);
        pair.Frontend.Put(BlkifOperation.Read, 0, 0, 512);
        pair.Run();
        pair.Engine.IsDraining = true;
        pair.Frontend.Put(BlkifOperation.Read, 1, 0, 512);
        pair.Run();
        Assert.That(target.Calls, Has.Count.EqualTo(1));
        target.CompleteAll();
        pair.Run();
        Assert.That(Responses(pair).Single().Id, Is.Zero);
        Assert.That(pair.Engine.InFlight, Is.Zero);
    }

    [Test]
    [Property("Advisory", "XSA-39")]
    public unsafe void A_corrupt_ring_yields_no_request_any_more_but_what_is_under_way_is_answered()
    {
        var target = new ScriptedTarget();
        using var pair = new QueuePair(target, Options);
        pair.Frontend.Put(BlkifOperation.Read, 0, 0, 512);
        pair.Run();
        *(uint*)pair.Frontend.RingAddress = 1 + 33;
        while (pair.Engine.RunPass())
        {
            // Without a push, which would repair the index.
        }

        Assert.That(pair.Engine.IsCorrupt, Is.True);
        target.CompleteAll();
        while (pair.Engine.RunPass())
        {
            // Without a push, which would repair the index.
        }

        Assert.That(target.Calls, Has.Count.EqualTo(1));
        Assert.That(Responses(pair).Single().Id, Is.Zero);
        Assert.That(pair.Engine.PrepareToSleep(), Is.True, "there is nothing to spin for");
    }

    [Test]
    [Property("Advisory", "XSA-216")]
    public unsafe void A_response_writes_its_own_bytes_and_zeros_and_nothing_of_this_process()
    {
        using var pair = new QueuePair(new MemoryTarget(1 << 20), Options);
        int size = protocol == BlkifProtocol.X86 ? 12 : 16;
        int stride = protocol == BlkifProtocol.X86 ? 108 : 112;
        var slot = new Span<byte>((byte*)pair.Frontend.RingAddress + 64, stride);
        pair.Frontend.Put(BlkifOperation.Read, ulong.MaxValue, 0, []);
        slot[24..].Fill(0xAA);
        byte[] before = slot.ToArray();
        pair.Run();

        Assert.That(slot[..8].ToArray(), Is.All.EqualTo(0xFF));
        Assert.That(slot[8], Is.EqualTo((byte)BlkifOperation.Read));
        Assert.That(slot[9], Is.Zero);
        Assert.That(BitConverter.ToInt16(slot[10..]), Is.EqualTo((short)BlkifStatus.Error));
        Assert.That(slot[12..size].ToArray(), Is.All.Zero);
        Assert.That(slot[size..].ToArray(), Is.EqualTo(before[size..]));
    }

    [Test]
    public void Statistics_tell_what_was_done_failed_and_refused()
    {
        var target = new FaultTarget(new MemoryTarget(1 << 20), (in BlockIo io) => io.Offset == 8192 ? BlockStatus.Error : BlockStatus.Okay);
        using var pair = new QueuePair(target, Options);
        pair.Frontend.Put(BlkifOperation.Read, 0, 0, 4096);
        pair.Frontend.Put(BlkifOperation.Read, 1, 16, 4096);
        pair.Frontend.Put(BlkifOperation.Read, 2, ulong.MaxValue, 4096);
        pair.Frontend.Put(BlkifOperation.Write, 3, 0, 512);
        pair.Frontend.Put(BlkifOperation.FlushDiskCache, 4, 0, 0);
        pair.Run();

        var statistics = pair.Engine.Statistics;
        Assert.That((statistics.Reads.Done, statistics.Reads.Failed, statistics.Reads.Refused, statistics.Reads.Bytes), Is.EqualTo((1, 1, 1, 4096)));
        Assert.That((statistics.Writes.Done, statistics.Writes.Bytes), Is.EqualTo((1, 512)));
        Assert.That((statistics.Flushes.Done, statistics.Flushes.Bytes), Is.EqualTo((1, 0)));
        Assert.That(statistics.RefusedFor(Refusal.BeyondEnd), Is.EqualTo(1));
        Assert.That(statistics.Reads.Latency.Count, Is.EqualTo(2));
        Assert.That(statistics.Reads.Latency.Percentile(1), Is.GreaterThan(TimeSpan.Zero));
    }

    [Test]
    public void A_pass_that_follows_another_begins_when_that_ended_and_one_after_a_sleep_when_it_was_over()
    {
        // Each look at this clock takes a second, and a sleep an hour.
        long seconds = 1;
        using var pair = new QueuePair(new MemoryTarget(1 << 20), Options, configure: settings => settings with
        {
            Clock = () => seconds++ * Stopwatch.Frequency,
        });
        Serve(pair);
        long before = seconds;
        Serve(pair);
        Assert.That(seconds - before, Is.EqualTo(1), "looks at the clock of a pass that follows another");

        Assert.That(pair.Engine.PrepareToSleep(), Is.True);
        seconds += 3600;
        Serve(pair);
        Assert.That(pair.Engine.Statistics.Reads.Latency.Count, Is.EqualTo(3));
        Assert.That(pair.Engine.Statistics.Reads.Latency.Max, Is.EqualTo(TimeSpan.FromSeconds(1)));

        static void Serve(QueuePair pair)
        {
            pair.Frontend.Put(BlkifOperation.Read, 0, 0, 4096);
            pair.Frontend.Push();
            Assert.That(pair.Engine.RunPass(), Is.True);
            Assert.That(pair.Frontend.TryTake(out _), Is.True);
        }
    }

    [Test]
    public void A_request_allocates_nothing()
    {
        using var pair = new QueuePair(new MemoryTarget(1 << 20), Options);
        long allocated = Allocations.Of(() =>
        {
            pair.Frontend.Put(BlkifOperation.Read, 0, 0, 8192);
            pair.Frontend.Put(BlkifOperation.Write, 1, 64, 4096);
            pair.Frontend.Put(BlkifOperation.FlushDiskCache, 2, 0, 0);
            pair.Frontend.Put(BlkifOperation.Read, 3, ulong.MaxValue, 4096);
            pair.Run();
            while (pair.Frontend.TryTake(out _))
            {
                // Only the number of allocations matters.
            }
        });
        Assert.That(allocated, Is.Zero);
    }

    private static BlockStatus Scribble(BlockIo io, BlockStatus status)
    {
        foreach (IoVector vector in io.Vectors)
            vector.Span.Fill(0xEE);
        return status;
    }

    private static void Finish(QueuePair pair, ScriptedTarget target)
    {
        while (pair.Engine.InFlight > 0)
        {
            target.CompleteAll();
            pair.Run();
        }
    }

    private static List<FrontendCompletion> Responses(QueuePair pair)
    {
        var responses = new List<FrontendCompletion>();
        while (pair.Frontend.TryTake(out FrontendCompletion completion))
            responses.Add(completion);
        return responses;
    }

    private sealed class NoCopies(IGrantTable real) : IGrantTable
    {
        public IGrantMapping Map(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable) => real.Map(domain, references, writable);

        public IGrantMapping MapRing(DomainId domain, ReadOnlySpan<GrantReference> references, IEventChannel channel) => real.MapRing(domain, references, channel);

        public nint TryMap(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable) => real.TryMap(domain, references, writable);

        public bool TryUnmap(nint address, int pages) => real.TryUnmap(address, pages);

        public bool Copy(Span<GrantCopySegment> segments) => false;
    }

    private sealed class WatchedGrants(IGrantTable real, Action copying) : IGrantTable
    {
        public IGrantMapping Map(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable) => real.Map(domain, references, writable);

        public IGrantMapping MapRing(DomainId domain, ReadOnlySpan<GrantReference> references, IEventChannel channel) => real.MapRing(domain, references, channel);

        public nint TryMap(DomainId domain, ReadOnlySpan<GrantReference> references, bool writable) => real.TryMap(domain, references, writable);

        public bool TryUnmap(nint address, int pages) => real.TryUnmap(address, pages);

        public bool Copy(Span<GrantCopySegment> segments)
        {
            copying();
            return real.Copy(segments);
        }
    }
}
