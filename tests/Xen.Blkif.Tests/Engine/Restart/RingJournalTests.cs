using Xen.Blkif.Engine;
using Xen.Blkif.Memory;
using Xen.Blkif.Protocol;
using Xen.Blkif.Rings;

namespace Xen.Blkif.Tests.Engine.Restart;

[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed unsafe class RingJournalTests
{
    [Test]
    public void A_request_is_owed_from_being_taken_until_its_response_was_shown()
    {
        using var memory = new NativeBuffer(RingJournal.Length);
        var journal = new RingJournal((nint)memory.Start);
        journal.Take(3, new X64Request { Id = 33 });
        journal.Take(0, new X64Request { Id = 30 });
        Assert.That(Successor(memory).Settle(shown: 0, slots: 32), Is.EqualTo(new[] { 0, 3 }));

        journal.Index(3, 0);
        Assert.That(Successor(memory).Settle(shown: 0, slots: 32), Is.EqualTo(new[] { 0, 3 }), "put, and not shown");
        journal.Index(3, 0);
        Assert.That(Successor(memory).Settle(shown: 1, slots: 32), Is.EqualTo(new[] { 0 }), "shown");
        journal.Release(3);
        Assert.That(Successor(memory).Settle(shown: 1, slots: 32), Is.EqualTo(new[] { 0 }));

        Successor(memory).Read(0, out X64Request request);
        Assert.That(request.Id, Is.EqualTo(30));
    }

    [TestCase(uint.MaxValue, uint.MaxValue, true)]
    [TestCase(uint.MaxValue, 0u, false)]
    [TestCase(0u, uint.MaxValue, true)]
    [TestCase(0u, 1u, false)]
    [TestCase(0x7FFF_FFFFu, 0x8000_0000u, false)]
    [TestCase(0x8000_0000u, 0x7FFF_FFFFu, true)]
    public void Indices_wrap(uint index, uint shown, bool isOwed)
    {
        using var memory = new NativeBuffer(RingJournal.Length);
        var journal = new RingJournal((nint)memory.Start);
        journal.Take(1, new X86Request { Id = 1 });
        journal.Index(1, index);
        Assert.That(Successor(memory).Settle(shown, slots: 32), Has.Length.EqualTo(isOwed ? 1 : 0));
    }

    [Test]
    public void The_last_record_of_the_largest_ring_is_inside_the_memory_and_nothing_is_left_after_a_clearing()
    {
        using var memory = new NativeBuffer(RingJournal.Length);
        memory.Slice(0, RingJournal.Length).Clear();
        var journal = new RingJournal((nint)memory.Start);
        var request = new X64Request { Id = 7 };
        Assert.That(RingSize.Slots<X64Request, X64Response>(RingSize.MaxPageOrder), Is.LessThanOrEqualTo((uint)RingJournal.Slots));
        Assert.That(RingSize.Slots<X86Request, X86Response>(RingSize.MaxPageOrder), Is.LessThanOrEqualTo((uint)RingJournal.Slots));
        journal.Take(RingJournal.Slots - 1, request);
        Assert.That(journal.Settle(0, RingJournal.Slots), Is.EqualTo(new[] { RingJournal.Slots - 1 }));
        journal.Clear();
        Assert.That(journal.Settle(0, RingJournal.Slots), Is.Empty);
    }

    private static RingJournal Successor(NativeBuffer memory) => new((nint)memory.Start);
}
