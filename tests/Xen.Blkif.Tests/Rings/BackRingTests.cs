using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Rings;

namespace Xen.Blkif.Tests.Rings;

[TestFixture(0u)]
[TestFixture(0xffff_fff0u, Description = "The indices wrap inside every test that goes around the ring.")]
[TestFixture(0xffff_ffffu, Description = "The indices wrap with the first move.")]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class BackRingTests : IDisposable
{
    private const uint Size = 32;

    private readonly uint _start;
    private readonly RingMemory _memory = new();
    private readonly FrontRing<X64Request, X64Response> _front;
    private readonly BackRing<X64Request, X64Response> _back;

    public BackRingTests(uint start)
    {
        _start = start;
        _memory.StartAt(start);
        _front = new FrontRing<X64Request, X64Response>(_memory.Address, _memory.Length, start);
        _back = new BackRing<X64Request, X64Response>(_memory.Address, _memory.Length, start);
    }

    public void Dispose() => _memory.Dispose();

    [Test]
    public void A_ring_without_requests_gives_none()
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(_back.TryTake(out _), Is.False);
            Assert.That(_back.IsCorrupt, Is.False);
            Assert.That(_back.Unanswered, Is.Zero);
            Assert.That(_back.Size, Is.EqualTo(Size));
        }
    }

    [Test]
    public void A_request_that_was_put_but_not_pushed_is_not_seen()
    {
        Assert.That(_front.TryPut(Request(1)), Is.True);

        Assert.That(_back.TryTake(out _), Is.False);
    }

    [Test]
    public void Requests_are_taken_in_the_order_in_which_they_were_put()
    {
        Ask(1, 2, 3);

        Assert.That(TakeAll(), Is.EqualTo(new ulong[] { 1, 2, 3 }));
    }

    [Test]
    [Property("Advisory", "XSA-155")]
    public void What_is_taken_is_a_copy_that_later_writes_to_the_slot_do_not_reach()
    {
        Ask(7);
        _ = _back.TryTake(out X64Request request);
        X64Request before = request;

        _memory.Bytes[RingSize.HeaderLength..].Fill(0xee);

        Assert.That(BytesOf(request), Is.EqualTo(BytesOf(before)));
    }

    [Test]
    public void A_full_ring_gives_every_one_of_its_requests_and_stays_sound()
    {
        ulong[] ids = [.. Enumerable.Range(1, (int)Size).Select(id => (ulong)id)];
        Ask(ids);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(TakeAll(), Is.EqualTo(ids));
            Assert.That(_back.Unanswered, Is.EqualTo(Size));
            Assert.That(_back.TryTake(out _), Is.False);
            Assert.That(_back.IsCorrupt, Is.False);
        }
    }

    [Test]
    public void The_ring_can_be_gone_around_many_times()
    {
        for (ulong id = 0; id < 10 * Size; id++)
        {
            Ask(id);
            Assert.That(TakeAll(), Is.EqualTo(new[] { id }));
            Answer(id);
            Assert.That(_front.TryTake(out X64Response response), Is.True);
            Assert.That(response.Id, Is.EqualTo(id));
        }
    }

    [Test]
    public void A_response_that_was_put_but_not_pushed_is_not_seen()
    {
        Ask(1);
        _ = TakeAll();
        _back.Put(Response(1));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_memory.ResponseProducer, Is.EqualTo(_start));
            Assert.That(_front.TryTake(out _), Is.False);
        }
    }

    [Test]
    public void Responses_may_come_in_another_order_than_the_requests()
    {
        Ask(1, 2, 3);
        _ = TakeAll();

        Answer(3, 1, 2);

        Assert.That(FrontTakeAll(), Is.EqualTo(new ulong[] { 3, 1, 2 }));
    }

    [Test]
    [Property("Advisory", "XSA-216")]
    public void A_response_changes_no_byte_of_the_slot_behind_its_own_sixteen()
    {
        Ask(1);
        _ = TakeAll();
        _memory.Bytes.Slice(RingSize.HeaderLength, (int)Size * 112).Fill(0xcc);

        Answer(1);

        int slot = RingSize.HeaderLength + ((int)(_start % Size) * 112);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(_memory.Bytes.Slice(slot, 16).IndexOf((byte)0xcc), Is.EqualTo(-1), "padding is written too");
            Assert.That(_memory.Bytes.Slice(slot + 16, 96).IndexOfAnyExcept((byte)0xcc), Is.EqualTo(-1));
        }
    }

    [Test]
    public void Unanswered_counts_what_was_taken_and_not_yet_put()
    {
        Ask(1, 2, 3);
        _ = _back.TryTake(out _);
        _ = _back.TryTake(out _);
        Assert.That(_back.Unanswered, Is.EqualTo(2));

        _back.Put(Response(1));

        Assert.That(_back.Unanswered, Is.EqualTo(1));
    }

    [Test]
    public void A_push_notifies_exactly_when_it_passes_the_index_that_the_frontend_asked_for([Range(0, 6)] int asked)
    {
        // Two pushed before; this push shows the third to the fifth response, indices 2 to 4: an event at 3, 4 or 5 lies in it.
        Ask(1, 2, 3, 4, 5);
        _ = TakeAll();
        Answer(1, 2);
        _back.Put(Response(3));
        _back.Put(Response(4));
        _back.Put(Response(5));
        _memory.ResponseEvent = _start + (uint)asked;

        Assert.That(_back.Push(), Is.EqualTo(asked is 3 or 4 or 5));
    }

    [Test]
    public void A_push_without_new_responses_never_notifies([Values(0, 1, -1)] int asked)
    {
        _memory.ResponseEvent = _start + (uint)asked;

        Assert.That(_back.Push(), Is.False);
    }

    [Test]
    public void A_second_push_does_not_notify_again_until_the_frontend_asks_again()
    {
        Ask(1, 2, 3);
        _ = TakeAll();
        bool first = Answer(1), second = Answer(2);
        _ = FrontTakeAll();
        bool workLeft = _front.FinalCheck();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(first, Is.True, "a new ring asks for the first");
            Assert.That(second, Is.False);
            Assert.That(workLeft, Is.False);
            Assert.That(Answer(3), Is.True);
        }
    }

    [Test]
    public void What_the_frontend_writes_into_rsp_prod_does_not_change_whether_it_is_notified()
    {
        Ask(1);
        _ = TakeAll();
        _memory.ResponseProducer = _start + 1;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Answer(1), Is.True);
            Assert.That(_memory.ResponseProducer, Is.EqualTo(_start + 1));
        }
    }

    [Test]
    public void The_final_check_asks_for_an_event_at_the_next_request()
    {
        Ask(1, 2);
        _ = TakeAll();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_back.FinalCheck(), Is.False);
            Assert.That(_memory.RequestEvent, Is.EqualTo(_start + 3));
            Assert.That(_front.TryPut(Request(3)), Is.True);
            Assert.That(_front.Push(), Is.True);
        }
    }

    [Test]
    public void The_final_check_with_requests_left_says_so_and_asks_for_no_event()
    {
        Ask(1, 2);
        _ = _back.TryTake(out _);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_back.FinalCheck(), Is.True);
            Assert.That(_memory.RequestEvent, Is.EqualTo(_start + 1));
        }
    }

    [Test]
    public void The_final_check_looks_at_the_ring_again()
    {
        Ask(1);
        _ = TakeAll();
        Ask(2);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_back.FinalCheck(), Is.True);
            Assert.That(TakeAll(), Is.EqualTo(new ulong[] { 2 }));
        }
    }

    [TestCase(Size + 1)]
    [TestCase(Size * 2)]
    [TestCase(0x7fff_ffffu)]
    [TestCase(0x8000_0000u)]
    [TestCase(0xffff_ffffu, Description = "One step back.")]
    [Property("Advisory", "XSA-39")]
    public void More_requests_than_fit_make_the_ring_corrupt(uint distance)
    {
        _memory.RequestProducer = _start + distance;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_back.TryTake(out _), Is.False);
            Assert.That(_back.IsCorrupt, Is.True);
        }
    }

    [Test]
    public void As_many_requests_as_fit_are_taken()
    {
        _memory.RequestProducer = _start + Size;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(TakeAll(), Has.Length.EqualTo(Size));
            Assert.That(_back.IsCorrupt, Is.False);
        }
    }

    [Test]
    public void Unanswered_requests_leave_room_for_so_many_fewer([Values(0u, 1u)] uint tooMany)
    {
        Ask(1, 2, 3);
        _ = TakeAll();
        Answer(1);
        _memory.RequestProducer = _start + 1 + Size + tooMany;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_back.TryTake(out _), Is.EqualTo(tooMany == 0));
            Assert.That(_back.IsCorrupt, Is.EqualTo(tooMany != 0));
        }
    }

    [Test]
    [Property("Advisory", "XSA-86")]
    public void Requests_that_are_taken_back_make_the_ring_corrupt([Values(1u, 2u, 3u)] uint back)
    {
        Ask(1, 2, 3);
        _ = TakeAll();
        _memory.RequestProducer = _start + 3 - back;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_back.TryTake(out _), Is.False);
            Assert.That(_back.IsCorrupt, Is.True);
        }
    }

    [Test]
    public void Requests_that_were_announced_once_are_served_whatever_is_announced_later()
    {
        Ask(1, 2, 3);
        _ = _back.TryTake(out _);
        _memory.RequestProducer = _start + 1000;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_back.TryTake(out _), Is.True);
            Assert.That(_back.FinalCheck(), Is.True);
            Assert.That(_back.TryTake(out _), Is.True);
            Assert.That(_back.TryTake(out _), Is.False);
            Assert.That(_back.IsCorrupt, Is.True);
        }
    }

    [Test]
    public void A_corrupt_ring_is_corrupt_for_good()
    {
        Ask(1);
        _ = TakeAll();
        _memory.RequestProducer = _start + 100;
        _ = _back.TryTake(out _);

        _memory.RequestProducer = _start + 2;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_back.TryTake(out _), Is.False);
            Assert.That(_back.FinalCheck(), Is.False, "there is nothing to stay awake for");
            Answer(1);
            Assert.That(_back.TryTake(out _), Is.False);
            Assert.That(_back.IsCorrupt, Is.True);
        }
    }

    [Test]
    public void Requests_taken_before_a_ring_is_corrupt_can_still_be_answered()
    {
        Ask(1);
        _ = TakeAll();
        _memory.RequestProducer = _start + 100;
        _ = _back.TryTake(out _);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Answer(1), Is.True);
            Assert.That(FrontTakeAll(), Is.EqualTo(new ulong[] { 1 }));
        }
    }

    [Test]
    public void The_final_check_that_finds_the_ring_corrupt_says_that_there_is_something_to_do_once()
    {
        _memory.RequestProducer = _start - 1;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_back.FinalCheck(), Is.True);
            Assert.That(_back.IsCorrupt, Is.True);
            Assert.That(_memory.RequestEvent, Is.EqualTo(_start + 1), "no event is asked for");
            Assert.That(_back.FinalCheck(), Is.False);
        }
    }

    [Test]
    public void A_request_that_was_put_back_is_the_next_one_and_is_copied_anew()
    {
        Ask(1, 2, 3);
        _ = _back.TryTake(out _);
        _ = _back.TryTake(out _);
        _back.PutBack();
        Assert.That(_back.Unanswered, Is.EqualTo(1));

        int slot = RingSize.HeaderLength + ((int)((_start + 1) % Size) * 112);
        MemoryMarshal.Write(_memory.Bytes[(slot + 8)..], 20UL);

        Assert.That(TakeAll(), Is.EqualTo(new ulong[] { 20, 3 }));
        Assert.That(Answer(1, 20, 3), Is.True);
        Assert.That(FrontTakeAll(), Is.EqualTo(new ulong[] { 1, 20, 3 }));
    }

    [Test]
    public void A_request_that_was_put_back_stays_while_others_are_answered_and_takes_no_room_from_the_frontend()
    {
        Ask([.. Enumerable.Range(1, (int)Size).Select(id => (ulong)id)]);
        for (int i = 0; i < 5; i++)
            _ = _back.TryTake(out _);
        _back.PutBack();
        Answer(1, 2, 3, 4);
        Assert.That(FrontTakeAll(), Is.EqualTo(new ulong[] { 1, 2, 3, 4 }));
        Ask(33, 34, 35, 36);

        Assert.That(TakeAll(), Is.EqualTo(Enumerable.Range(5, (int)Size).Select(id => (ulong)id)));
        Assert.That(_back.IsCorrupt, Is.False);
    }

    [Test]
    public void A_backend_that_attaches_at_rsp_prod_takes_what_its_predecessor_left_unanswered()
    {
        Ask(1, 2, 3);
        _ = TakeAll();
        Answer(1);

        var successor = new BackRing<X64Request, X64Response>(_memory.Address, _memory.Length, _memory.ResponseProducer);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(TakeAll(successor), Is.EqualTo(new ulong[] { 2, 3 }));
            Assert.That(successor.Unanswered, Is.EqualTo(2));
        }
    }

    [Test]
    public void No_write_of_the_peer_makes_the_rings_touch_memory_outside_of_their_pages()
    {
        _memory.Bytes.Fill(0xff);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(() => _back.TryTake(out _), Throws.Nothing);
            Assert.That(() => _back.FinalCheck(), Throws.Nothing);
            Assert.That(() => _back.Push(), Throws.Nothing);
        }
    }

    [Test]
    public void Memory_that_is_no_ring_is_refused()
    {
        nint address = _memory.Address;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(() => Attach(0, XenPage.Size), Throws.ArgumentException);
            Assert.That(() => Attach(address + 1, XenPage.Size), Throws.ArgumentException);
            Assert.That(() => Attach(address + 64, XenPage.Size), Throws.ArgumentException);
            Assert.That(() => Attach(address, 0), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => Attach(address, -XenPage.Size), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => Attach(address, int.MinValue), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => Attach(address, XenPage.Size / 2), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => Attach(address, XenPage.Size + 1), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => Attach(address, XenPage.Size * 3), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => Attach(address, XenPage.Size * 32), Throws.InstanceOf<ArgumentOutOfRangeException>());
        }
    }

    private static BackRing<X64Request, X64Response> Attach(nint address, int length) => new(address, length);

    private static X64Request Request(ulong id) => new() { Operation = (byte)BlkifOperation.Read, Id = id };

    private static X64Response Response(ulong id) => new() { Id = id };

    private static byte[] BytesOf(X64Request request) => MemoryMarshal.AsBytes(new ReadOnlySpan<X64Request>(in request)).ToArray();

    private static ulong[] TakeAll(BackRing<X64Request, X64Response> ring)
    {
        var ids = new List<ulong>();
        while (ring.TryTake(out X64Request request))
            ids.Add(request.Id);
        return [.. ids];
    }

    private ulong[] TakeAll() => TakeAll(_back);

    private ulong[] FrontTakeAll()
    {
        var ids = new List<ulong>();
        while (_front.TryTake(out X64Response response))
            ids.Add(response.Id);
        return [.. ids];
    }

    private void Ask(params ulong[] ids)
    {
        foreach (ulong id in ids)
            Assert.That(_front.TryPut(Request(id)), Is.True);
        _ = _front.Push();
    }

    private bool Answer(params ulong[] ids)
    {
        foreach (ulong id in ids)
            _back.Put(Response(id));
        return _back.Push();
    }
}
