using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;
using Xen.Blkif.Tests.Testing;

namespace Xen.Blkif.Tests.Engine;

/// <summary>What a guest gets is the same whichever way its memory is reached.</summary>
[TestFixture(GuestMemoryAccess.Copy)]
[TestFixture(GuestMemoryAccess.Map)]
[TestFixture(GuestMemoryAccess.Persistent)]
[Parallelizable(ParallelScope.All)]
internal sealed class GuestMemoryTests(GuestMemoryAccess access)
{
    private const int DiskLength = 4 << 20;
    private const int RingPages = 1;

    private static readonly GrantReference Bad = new(0xFFFF_FFF0);

    private static FrontendOptions Options => new() { Depth = 8, MaxIndirectSegments = 64 };

    [Test]
    public void A_write_of_any_number_of_segments_reaches_the_target_and_a_read_brings_it_back([Values(1, 2, 11, 12, 64)] int segments)
    {
        using QueuePair pair = Pair(new MemoryTarget(DiskLength));
        for (int round = 0; round < 3; round++)
        {
            new Random(round).NextBytes(pair.Frontend.Buffer(0));
            byte[] written = pair.Frontend.Buffer(0)[..(segments * 4096)].ToArray();
            pair.Frontend.Put(BlkifOperation.Write, 0, 80, written.Length);
            pair.Run();
            pair.Frontend.Put(BlkifOperation.Read, 1, 80, written.Length);
            pair.Run();
            Assert.That(Responses(pair).Select(response => response.Status), Is.EqualTo(new[] { BlkifStatus.Okay, BlkifStatus.Okay }));
            Assert.That(pair.Frontend.Buffer(1)[..written.Length].SequenceEqual(written), Is.True);
            Assert.That(pair.Frontend.Buffer(1)[written.Length..].IndexOfAnyExcept((byte)0), Is.EqualTo(-1), "nothing behind the last segment is touched");
        }
    }

    [Test]
    public void Parts_of_pages_are_transferred_in_the_order_of_the_segments([Values(3, 15)] int segments)
    {
        var target = new MemoryTarget(DiskLength);
        target.CopyFrom(512, Enumerable.Range(0, segments * 512).Select(i => (byte)((i / 512) + 1)).ToArray());
        using QueuePair pair = Pair(target);
        BlkifSegment[] parts = [.. Enumerable.Range(0, segments).Select(i => new BlkifSegment(pair.Frontend.GrantOf(0, segments - 1 - i), (byte)(i % 8), (byte)(i % 8)))];
        Put(pair, BlkifOperation.Read, 0, 1, parts);
        pair.Run();
        Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Okay));
        for (int i = 0; i < segments; i++)
            Assert.That(pair.Frontend.Buffer(0).Slice(((segments - 1 - i) * 4096) + (i % 8 * 512), 512).ToArray(), Is.All.EqualTo(i + 1), $"segment {i}");
    }

    [Test]
    public void The_pieces_that_the_target_gets_are_as_long_as_the_request_and_neighbours_are_one()
    {
        var pieces = new List<int>();
        var target = new ScriptedTarget(DiskLength)
        {
            Answer = io =>
            {
                nint length = 0;
                foreach (IoVector vector in io.Vectors)
                    length += vector.Length;
                Assert.That((long)length, Is.EqualTo(io.Length));
                pieces.Add(io.VectorCount);
                return BlockStatus.Okay;
            },
        };
        using QueuePair pair = Pair(target);
        BlkifSegment Part(int page, byte first, byte last) => new(pair.Frontend.GrantOf(0, page), first, last);
        Put(pair, BlkifOperation.Write, 0, 0, [Part(0, 0, 7), Part(1, 0, 7), Part(2, 0, 7)]);
        pair.Run();
        Put(pair, BlkifOperation.Write, 0, 0, [Part(0, 0, 6), Part(1, 0, 7), Part(2, 1, 7)]);
        pair.Run();
        int[] expected = access switch
        {
            GuestMemoryAccess.Copy => [1, 1],
            GuestMemoryAccess.Map => [1, 3], // mapped together, and so behind each other
            _ => [3, 3],
        };
        Assert.That(pieces, Is.EqualTo(expected));
    }

    [Test]
    [Property("Advisory", "XSA-394")]
    public void The_same_grant_in_two_segments_and_in_two_requests_at_once_is_no_trouble()
    {
        var target = new ScriptedTarget(DiskLength);
        using QueuePair pair = Pair(target);
        GrantReference page = pair.Frontend.GrantOf(0, 0);
        for (int round = 0; round < 3; round++)
        {
            Put(pair, BlkifOperation.Write, 0, 0, [new BlkifSegment(page, 0, 7), new BlkifSegment(page, 0, 3)]);
            Put(pair, BlkifOperation.Read, 1, 8, [new BlkifSegment(page, 4, 7), new BlkifSegment(page, 0, 7)]);
            pair.Run();
            target.Completions.Complete(target.Pending.Dequeue(), BlockStatus.Okay);
            pair.Run();
            Assert.That(Responses(pair).Single(), Is.EqualTo(new FrontendCompletion(0, BlkifOperation.Write, BlkifStatus.Okay)), "the other still uses the page");
            target.CompleteAll();
            pair.Run();
            Assert.That(Responses(pair).Single(), Is.EqualTo(new FrontendCompletion(1, BlkifOperation.Read, BlkifStatus.Okay)));
        }
    }

    [Test]
    [Property("Advisory", "XSA-365")]
    public void A_bad_grant_at_any_position_fails_that_request_alone(
        [Values(BlkifOperation.Read, BlkifOperation.Write)] BlkifOperation operation, [Values(1, 11, 30)] int segments)
    {
        using QueuePair pair = Pair(new MemoryTarget(DiskLength));
        for (int bad = 0; bad < segments; bad++)
        {
            BlkifSegment[] pages = Pages(pair.Frontend, 0, segments);
            pages[bad] = new BlkifSegment(Bad, 0, 7);
            Put(pair, operation, 0, 0, pages);
            Put(pair, operation, 1, 0, Pages(pair.Frontend, 1, segments));
            pair.Run();
            Assert.That(Responses(pair), Is.EquivalentTo(new[]
            {
                new FrontendCompletion(0, operation, BlkifStatus.Error), new FrontendCompletion(1, operation, BlkifStatus.Okay),
            }));
            AssertMapped(pair, held: bad + segments + (segments > 11 ? 2 : 0));
        }
    }

    [Test]
    [Property("Advisory", "XSA-361")]
    public void A_hypervisor_that_fails_any_one_call_for_a_page_fails_at_most_that_request([Values(1, 11, 30)] int segments)
    {
        using QueuePair pair = Pair(new MemoryTarget(DiskLength));
        for (int failing = 0; failing < segments + 1; failing++)
        {
            int asked = 0;
            GrantStatus Fail(DomainId domain, GrantReference reference) => asked++ == failing ? GrantStatus.GeneralError : GrantStatus.Okay;
            pair.Xen.Grants.MapFault = pair.Xen.Grants.CopyFault = Fail;
            Put(pair, BlkifOperation.Write, 0, 0, Pages(pair.Frontend, 0, segments));
            pair.Run();
            bool failed = asked > failing && access != GuestMemoryAccess.Persistent;
            pair.Xen.Grants.MapFault = pair.Xen.Grants.CopyFault = null;
            Assert.That(Responses(pair).Single(), Is.EqualTo(new FrontendCompletion(0, BlkifOperation.Write, failed ? BlkifStatus.Error : BlkifStatus.Okay)));
            Put(pair, BlkifOperation.Write, 0, 0, Pages(pair.Frontend, 0, segments));
            pair.Run();
            Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Okay), "the next request is served");
        }
    }

    [Test]
    public void A_page_of_segments_that_cannot_be_reached_fails_that_request_alone()
    {
        using QueuePair pair = Pair(new MemoryTarget(DiskLength));
        pair.Frontend.PutIndirect(BlkifOperation.Read, 0, 8, 12, Bad);
        pair.Frontend.PutIndirect(BlkifOperation.Read, 1, 8, Pages(pair.Frontend, 1, 12));
        pair.Run();
        Assert.That(Responses(pair), Is.EquivalentTo(new[]
        {
            new FrontendCompletion(0, BlkifOperation.Read, BlkifStatus.Error), new FrontendCompletion(1, BlkifOperation.Read, BlkifStatus.Okay),
        }));
    }

    [Test]
    [Property("Advisory", "XSA-155")]
    public void What_a_guest_writes_into_a_page_of_segments_after_it_was_read_changes_nothing()
    {
        var target = new ScriptedTarget(DiskLength);
        using QueuePair pair = Pair(target);
        pair.Frontend.PutIndirect(BlkifOperation.Write, 0, 8, Pages(pair.Frontend, 0, 12));
        pair.Run();
        pair.Frontend.SegmentPage(0).Fill(new BlkifSegment(Bad, 255, 3));
        target.CompleteAll();
        pair.Run();
        Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Okay));
        Assert.That(target.Calls, Is.EqualTo(new[] { "Write 4096+49152" }));
        AssertMapped(pair, held: 13);
    }

    [Test]
    public void A_page_that_may_only_be_read_is_good_for_a_write_and_fails_a_read()
    {
        using QueuePair pair = Pair(new MemoryTarget(DiskLength));
        GrantReference page = pair.Guest.Grant(RingPages, pair.Xen.Domain, writable: false); // the first of slot 0
        pair.Frontend.Put(BlkifOperation.Write, 0, 0, [new BlkifSegment(page, 0, 7)]);
        pair.Frontend.Put(BlkifOperation.Read, 1, 0, [new BlkifSegment(page, 0, 7)]);
        pair.Run();
        Assert.That(Responses(pair), Is.EquivalentTo(new[]
        {
            new FrontendCompletion(0, BlkifOperation.Write, BlkifStatus.Okay), new FrontendCompletion(1, BlkifOperation.Read, BlkifStatus.Error),
        }));
        Assert.That(pair.Guest.TryRevoke(page), Is.True);
    }

    [Test]
    public void With_the_response_the_guest_may_have_its_pages_back_unless_they_are_persistent([Values(1, 11, 30)] int segments)
    {
        using QueuePair pair = Pair(new MemoryTarget(DiskLength));
        for (int round = 0; round < 3; round++)
        {
            Put(pair, BlkifOperation.Write, 0, 0, Pages(pair.Frontend, 0, segments));
            pair.Run();
            Assert.That(Responses(pair).Single().Status, Is.EqualTo(BlkifStatus.Okay));
            if (access == GuestMemoryAccess.Persistent)
                Assert.That(() => pair.Frontend.GrantAnew(0, 1), Throws.InvalidOperationException);
            else
                pair.Frontend.GrantAnew(0, segments);
        }
    }

    [Test]
    [Property("Advisory", "XSA-396")]
    public void Pages_are_let_go_of_before_the_response_shows()
    {
        QueuePair? pair = null;
        int unmapped = 0;
        using (pair = Pair(new MemoryTarget(DiskLength)))
        {
            pair.Xen.Grants.UnmapFault = (_, _) =>
            {
                unmapped++;
                Assert.That(pair.Frontend.TryTake(out _), Is.False);
                return GrantStatus.Okay;
            };
            Put(pair, BlkifOperation.Read, 0, 0, Pages(pair.Frontend, 0, 11));
            Put(pair, BlkifOperation.Write, 1, 0, Pages(pair.Frontend, 1, 12));
            pair.Run();
            Assert.That(unmapped, Is.EqualTo(access == GuestMemoryAccess.Map ? 23 : 0));
            Assert.That(Responses(pair), Has.Count.EqualTo(2));
            pair.Xen.Grants.UnmapFault = null;
        }
    }

    [Test]
    [Property("Advisory", "XSA-371")]
    public void Nothing_stays_mapped_when_the_engine_goes()
    {
        SimulatedGrantTable grants;
        using (QueuePair pair = Pair(new MemoryTarget(DiskLength)))
        {
            grants = pair.Xen.Grants;
            Put(pair, BlkifOperation.Write, 0, 0, Pages(pair.Frontend, 0, 30));
            pair.Run();
            AssertMapped(pair, held: 31);
        }

        Assert.That(grants.MappedPages, Is.Zero);
    }

    [Test]
    public void A_target_that_cannot_be_closed_does_not_keep_pages_mapped()
    {
        var pair = Pair(new Unclosable());
        Put(pair, BlkifOperation.Write, 0, 0, Pages(pair.Frontend, 0, 3));
        pair.Run();
        Assert.That(pair.Engine.Dispose, Throws.InvalidOperationException);
        Assert.That(pair.Xen.Grants.MappedPages, Is.EqualTo(RingPages));
        pair.Xen.Dispose();
    }

    [Test]
    public void A_request_allocates_nothing_and_pages_that_are_mapped_are_neither_mapped_nor_copied_again()
    {
        using QueuePair pair = Pair(new MemoryTarget(DiskLength));
        BlkifSegment[] small = Pages(pair.Frontend, 0, 2), large = [.. Pages(pair.Frontend, 1, 14).Select(page => new BlkifSegment(page.Reference, 3, 3))];
        Round();
        (long maps, long copies) = (pair.Xen.Grants.Maps, pair.Xen.Grants.Copies);
        Round();
        if (access == GuestMemoryAccess.Persistent)
            Assert.That((pair.Xen.Grants.Maps, pair.Xen.Grants.Copies), Is.EqualTo((maps, copies)));
        Assert.That(Allocations.Of(Round), Is.Zero);

        void Round()
        {
            Put(pair, BlkifOperation.Write, 0, 0, small);
            Put(pair, BlkifOperation.Read, 1, 64, large);
            pair.Run();
            while (pair.Frontend.TryTake(out _))
            {
                // Only the number of allocations matters.
            }
        }
    }

    private QueuePair Pair(IBlockTarget target) => new(target, Options, configure: settings => settings with { GuestMemory = access });

    // With persistent grants so many pages stay, otherwise none but the ring's.
    private void AssertMapped(QueuePair pair, int held) =>
        Assert.That(pair.Xen.Grants.MappedPages, Is.EqualTo(RingPages + (access == GuestMemoryAccess.Persistent ? held : 0)));

    private static void Put(QueuePair pair, BlkifOperation operation, int slot, ulong sector, BlkifSegment[] segments)
    {
        if (segments.Length > 11)
            pair.Frontend.PutIndirect(operation, slot, sector, segments);
        else
            pair.Frontend.Put(operation, (ulong)slot, sector, segments);
    }

    private static BlkifSegment[] Pages(FrontendQueue queue, int slot, int count) =>
        [.. Enumerable.Range(0, count).Select(page => new BlkifSegment(queue.GrantOf(slot, page), 0, 7))];

    private static List<FrontendCompletion> Responses(QueuePair pair)
    {
        var responses = new List<FrontendCompletion>();
        while (pair.Frontend.TryTake(out FrontendCompletion completion))
            responses.Add(completion);
        return responses;
    }

    private sealed class Unclosable : IBlockTarget, IBlockQueue
    {
        public BlockTargetInfo Info { get; } = new(DiskLength);

        public IBlockQueue OpenQueue(int depth, IBlockCompletions completions) => this;

        public BlockStatus Submit(in BlockIo io) => BlockStatus.Okay;

        public void Plug()
        {
            // Nothing is held back.
        }

        public void Unplug()
        {
            // Nothing was held back.
        }

        public void Dispose() => throw new InvalidOperationException("not today");

        public ValueTask DisposeAsync() => default;
    }
}
