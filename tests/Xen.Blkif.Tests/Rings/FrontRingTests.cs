using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Rings;

namespace Xen.Blkif.Tests.Rings;

[TestFixture(0u)]
[TestFixture(0xffff_fff0u, Description = "The indices wrap inside every test that goes around the ring.")]
[TestFixture(0xffff_ffffu, Description = "The indices wrap with the first move.")]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class FrontRingTests : IDisposable
{
    private const uint Size = 32;

    private readonly uint _start;
    private readonly RingMemory _memory = new();
    private readonly FrontRing<X86Request, X86Response> _front;
    private readonly BackRing<X86Request, X86Response> _back;

    public FrontRingTests(uint start)
    {
        _start = start;
        _memory.StartAt(start);
        _front = new FrontRing<X86Request, X86Response>(_memory.Address, _memory.Length, start);
        _back = new BackRing<X86Request, X86Response>(_memory.Address, _memory.Length, start);
    }

    public void Dispose() => _memory.Dispose();

    [Test]
    public void A_ring_that_is_initialised_is_empty_and_asks_for_the_first_event_of_either_kind()
    {
        _memory.Bytes.Fill(0xff);

        _front.Initialise();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_memory.RequestProducer, Is.Zero);
            Assert.That(_memory.RequestEvent, Is.EqualTo(1));
            Assert.That(_memory.ResponseProducer, Is.Zero);
            Assert.That(_memory.ResponseEvent, Is.EqualTo(1));
            Assert.That(_memory.Bytes[16..RingSize.HeaderLength].IndexOfAnyExcept((byte)0), Is.EqualTo(-1));
            Assert.That(_memory.Bytes[RingSize.HeaderLength..].IndexOfAnyExcept((byte)0xff), Is.EqualTo(-1), "slots are left as they are");
        }
    }

    [Test]
    public void A_ring_takes_as_many_requests_as_it_has_slots()
    {
        for (uint i = 0; i < Size; i++)
        {
            Assert.That(_front.Free, Is.EqualTo(Size - i));
            Assert.That(_front.TryPut(Request(i)), Is.True);
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_front.Free, Is.Zero);
            Assert.That(_front.TryPut(Request(99)), Is.False);
        }
    }

    [Test]
    public void A_request_that_does_not_fit_changes_no_byte_of_the_ring()
    {
        for (uint i = 0; i < Size; i++)
            _ = _front.TryPut(Request(i));
        byte[] before = _memory.Bytes.ToArray();

        _ = _front.TryPut(Request(99));

        Assert.That(_memory.Bytes.ToArray(), Is.EqualTo(before));
    }

    [Test]
    public void A_response_that_is_taken_makes_room_for_one_request_and_one_that_is_only_pushed_does_not()
    {
        for (uint i = 0; i < Size; i++)
            _ = _front.TryPut(Request(i));
        _ = _front.Push();
        Serve(1);
        uint before = _front.Free;

        _ = _front.TryTake(out _);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(before, Is.Zero);
            Assert.That(_front.Free, Is.EqualTo(1));
            Assert.That(_front.TryPut(Request(99)), Is.True);
        }
    }

    [Test]
    public void Nothing_is_announced_before_the_push()
    {
        _ = _front.TryPut(Request(1));
        uint before = _memory.RequestProducer;

        _ = _front.Push();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(before, Is.EqualTo(_start));
            Assert.That(_memory.RequestProducer, Is.EqualTo(_start + 1));
        }
    }

    [Test]
    public void A_push_notifies_exactly_when_it_passes_the_index_that_the_backend_asked_for([Range(0, 6)] int asked)
    {
        Ask(2);
        for (uint i = 0; i < 3; i++)
            _ = _front.TryPut(Request(i));
        _memory.RequestEvent = _start + (uint)asked;

        Assert.That(_front.Push(), Is.EqualTo(asked is 3 or 4 or 5));
    }

    [Test]
    public void A_push_without_new_requests_never_notifies([Values(0, 1, -1)] int asked)
    {
        _memory.RequestEvent = _start + (uint)asked;

        Assert.That(_front.Push(), Is.False);
    }

    [Test]
    public void What_the_backend_writes_into_req_prod_does_not_change_whether_it_is_notified()
    {
        _ = _front.TryPut(Request(1));
        _memory.RequestProducer = _start + 1;

        Assert.That(_front.Push(), Is.True);
    }

    [Test]
    public void The_final_check_asks_for_an_event_at_the_next_response()
    {
        Ask(3);
        Serve(2);
        _ = _front.TryTake(out _);
        _ = _front.TryTake(out _);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_front.FinalCheck(), Is.False);
            Assert.That(_memory.ResponseEvent, Is.EqualTo(_start + 3));
            Assert.That(Serve(1), Is.True);
        }
    }

    [Test]
    public void The_final_check_with_responses_left_says_so_and_asks_for_no_event()
    {
        Ask(2);
        Serve(2);
        _ = _front.TryTake(out _);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_front.FinalCheck(), Is.True);
            Assert.That(_memory.ResponseEvent, Is.EqualTo(_start + 1));
        }
    }

    [Test]
    public void A_response_is_a_copy_that_later_writes_to_the_slot_do_not_reach()
    {
        Ask(1);
        Serve(1);
        _ = _front.TryTake(out X86Response response);

        _memory.Bytes[RingSize.HeaderLength..].Fill(0xee);

        Assert.That(response.Id, Is.EqualTo(0));
    }

    [TestCase(2u, Description = "One more than was asked for, though the ring has room for it.")]
    [TestCase(Size + 1)]
    [TestCase(0x8000_0000u)]
    [TestCase(0xffff_ffffu, Description = "One step back.")]
    public void More_responses_than_there_were_requests_make_the_ring_corrupt_for_good(uint answered)
    {
        Ask(1);
        _memory.ResponseProducer = _start + answered;
        bool taken = _front.TryTake(out _);
        bool corrupt = _front.IsCorrupt;

        _memory.ResponseProducer = _start + 1;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(taken, Is.False);
            Assert.That(corrupt, Is.True);
            Assert.That(_front.TryTake(out _), Is.False);
            Assert.That(_front.FinalCheck(), Is.False);
            Assert.That(_front.IsCorrupt, Is.True);
        }
    }

    [Test]
    public void A_request_that_was_put_but_not_pushed_cannot_have_been_answered()
    {
        _ = _front.TryPut(Request(1));
        _memory.ResponseProducer = _start + 1;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_front.TryTake(out _), Is.False);
            Assert.That(_front.IsCorrupt, Is.True);
        }
    }

    [Test]
    public void The_final_check_that_finds_the_ring_corrupt_says_that_there_is_something_to_do_once()
    {
        _memory.ResponseProducer = _start + 1;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(_front.FinalCheck(), Is.True);
            Assert.That(_front.IsCorrupt, Is.True);
            Assert.That(_memory.ResponseEvent, Is.EqualTo(_start + 1), "no event is asked for");
            Assert.That(_front.FinalCheck(), Is.False);
        }
    }

    [Test]
    public void Memory_that_is_no_ring_is_refused()
    {
        nint address = _memory.Address;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(() => Attach(0, XenPage.Size), Throws.ArgumentException);
            Assert.That(() => Attach(address + 8, XenPage.Size), Throws.ArgumentException);
            Assert.That(() => Attach(address, XenPage.Size - 1), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => Attach(address, XenPage.Size * 3), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => Attach(address, XenPage.Size * 32), Throws.InstanceOf<ArgumentOutOfRangeException>());
        }
    }

    private static FrontRing<X86Request, X86Response> Attach(nint address, int length) => new(address, length);

    private static X86Request Request(ulong id) => new() { Operation = (byte)BlkifOperation.Read, Id = id };

    private void Ask(uint count)
    {
        for (uint i = 0; i < count; i++)
            Assert.That(_front.TryPut(Request(i)), Is.True);
        _ = _front.Push();
    }

    private bool Serve(uint count)
    {
        for (uint i = 0; i < count; i++)
        {
            Assert.That(_back.TryTake(out X86Request request), Is.True);
            _back.Put(new X86Response { Id = request.Id });
        }

        return _back.Push();
    }
}
