using Xen.Blkif.Engine;
using Xen.Blkif.Memory;

namespace Xen.Blkif.Tests.Engine;

[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed unsafe class BufferPoolTests
{
    [Test]
    public void There_is_no_buffer_before_one_is_needed_and_never_more_than_were_needed_at_once()
    {
        using var pool = new BufferPool(() => new NativeBuffer(8192), 3);
        Assert.That(pool.Made, Is.Zero);
        for (int round = 0; round < 10; round++)
        {
            byte* one = pool.TryRent();
            byte* two = pool.TryRent();
            pool.Return(one);
            pool.Return(two);
        }

        Assert.That(pool.Made, Is.EqualTo(2));
    }

    [Test]
    public void Buffers_in_use_at_once_are_page_aligned_and_share_no_byte()
    {
        using var pool = new BufferPool(() => new NativeBuffer(8192), 4);
        var starts = new List<nint>();
        while (!pool.IsExhausted)
        {
            byte* buffer = pool.TryRent();
            new Span<byte>(buffer, 8192).Fill((byte)starts.Count);
            starts.Add((nint)buffer);
        }

        Assert.That(starts, Has.Count.EqualTo(4));
        for (int i = 0; i < starts.Count; i++)
        {
            Assert.That((long)starts[i] % 4096, Is.Zero);
            Assert.That(new Span<byte>((byte*)starts[i], 8192).IndexOfAnyExcept((byte)i), Is.EqualTo(-1));
        }
    }

    [Test]
    public void A_pool_that_is_exhausted_has_room_again_when_a_buffer_returns()
    {
        using var pool = new BufferPool(() => new NativeBuffer(4096), 1);
        byte* only = pool.TryRent();
        Assert.That(pool.IsExhausted, Is.True);
        pool.Return(only);
        Assert.That(pool.IsExhausted, Is.False);
        Assert.That((nint)pool.TryRent(), Is.EqualTo((nint)only));
    }

    [Test]
    public void A_buffer_that_there_is_no_memory_for_is_none_and_the_next_one_may_be()
    {
        bool hasMemory = false;
        using var pool = new BufferPool(() => hasMemory ? new NativeBuffer(4096) : throw new InsufficientMemoryException(), 1);
        Assert.That(pool.TryRent() == null, Is.True);
        Assert.That((pool.IsExhausted, pool.Made), Is.EqualTo((false, 0)));
        hasMemory = true;
        Assert.That(pool.TryRent() == null, Is.False);
    }
}
