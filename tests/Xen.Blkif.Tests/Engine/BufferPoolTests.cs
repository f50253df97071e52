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
        using var pool = Pool(3);
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
        using var pool = Pool(4);
        var starts = new List<nint>();
        while (pool.HasRoomFor(1))
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
        using var pool = Pool(1);
        byte* only = pool.TryRent();
        Assert.That(pool.HasRoomFor(1), Is.False);
        pool.Return(only);
        Assert.That(pool.HasRoomFor(1), Is.True);
        Assert.That((nint)pool.TryRent(), Is.EqualTo((nint)only));
    }

    [Test]
    public void A_buffer_that_there_is_no_memory_for_is_none_and_the_next_one_may_be()
    {
        bool hasMemory = false;
        using var pool = Pool(1, make: length => hasMemory ? new NativeBuffer(length) : throw new InsufficientMemoryException());
        Assert.That(pool.TryRent() == null, Is.True);
        Assert.That((pool.HasRoomFor(1), pool.Made), Is.EqualTo((true, 0)));
        hasMemory = true;
        Assert.That(pool.TryRent() == null, Is.False);
    }

    [Test]
    public void What_was_not_needed_for_a_second_is_given_back_and_the_rest_stays()
    {
        using BufferPool pool = Pool(8);
        Use(pool, 5);
        pool.Tidy(Now(0));
        Use(pool, 2);
        pool.Tidy(Now(0.99));
        Assert.That(pool.Made, Is.EqualTo(5), "not yet");
        pool.Tidy(Now(1));
        Assert.That(pool.Made, Is.EqualTo(2), "as many as were needed at once within the second");
        pool.Tidy(Now(2));
        Assert.That(pool.Made, Is.Zero);
        Use(pool, 3);
        Assert.That(pool.Made, Is.EqualTo(3), "made anew");
    }

    [Test]
    public void A_buffer_in_use_stays_however_long_that_takes_and_keeps_what_is_in_it()
    {
        using BufferPool pool = Pool(3);
        byte* held = pool.TryRent();
        Use(pool, 2);
        new Span<byte>(held, 8192).Fill(0x5A);
        for (int second = 0; second < 10; second++)
            pool.Tidy(Now(second));
        Assert.That(pool.Made, Is.EqualTo(1));
        Assert.That(new Span<byte>(held, 8192).IndexOfAnyExcept((byte)0x5A), Is.EqualTo(-1));
        pool.Return(held);
    }

    [Test]
    public void As_many_stay_as_are_to_be_kept()
    {
        using BufferPool pool = Pool(8, kept: 2);
        Use(pool, 5);
        for (int second = 0; second < 10; second++)
            pool.Tidy(Now(second));
        Assert.That(pool.Made, Is.EqualTo(2));
        Assert.That(pool.TimeUntilUntidy(Now(10)), Is.EqualTo(long.MaxValue));
    }

    [Test]
    public void There_is_something_to_tidy_a_second_after_the_last_look_while_any_buffer_is_free()
    {
        using BufferPool pool = Pool(1);
        Assert.That(pool.TimeUntilUntidy(Now(0)), Is.EqualTo(long.MaxValue));
        Use(pool, 1);
        pool.Tidy(Now(0));
        Assert.That(pool.TimeUntilUntidy(Now(0.25)), Is.EqualTo(Idleness.Ticks * 3 / 4));
        pool.Tidy(Now(1));
        Assert.That(pool.TimeUntilUntidy(Now(1)), Is.EqualTo(long.MaxValue));
    }

    [Test]
    public void A_budget_bounds_several_pools_and_each_gets_its_first_buffer_all_the_same()
    {
        var budget = new MemoryBudget(3 * 8192);
        BufferPool[] pools = [.. Enumerable.Range(0, 4).Select(_ => Pool(8, budget: budget))];
        foreach (BufferPool pool in pools)
        {
            while (pool.HasRoomFor(1))
                pool.TryRent();
        }

        Assert.That(pools.Select(pool => pool.Made), Is.EqualTo(new[] { 3, 1, 1, 1 }));
        foreach (BufferPool pool in pools)
            pool.Dispose();
        Assert.That(budget.Used, Is.Zero);
    }

    [Test]
    public void What_one_pool_gives_back_another_may_have()
    {
        var budget = new MemoryBudget(3 * 8192);
        using BufferPool first = Pool(8, budget: budget);
        using BufferPool second = Pool(8, budget: budget);
        Use(first, 3);
        second.TryRent();
        Assert.That(second.HasRoomFor(1), Is.False);
        first.Tidy(Now(0));
        first.Tidy(Now(1));
        Assert.That(second.HasRoomFor(2), Is.True);
        second.TryRent();
        second.TryRent();
        Assert.That((second.HasRoomFor(1), budget.Used), Is.EqualTo((false, 3 * 8192)));
    }

    [Test]
    public void Who_needs_several_has_room_for_all_of_them_or_takes_nothing_from_the_budget()
    {
        var budget = new MemoryBudget(3 * 8192);
        using BufferPool pool = Pool(8, budget: budget);
        pool.TryRent();
        Assert.That((pool.HasRoomFor(3), budget.Used), Is.EqualTo((false, 8192)));
        Assert.That((pool.HasRoomFor(2), budget.Used), Is.EqualTo((true, 3 * 8192)));
    }

    [Test]
    public void There_is_no_room_beyond_the_most_whatever_the_budget_has()
    {
        using BufferPool pool = Pool(4);
        pool.Promise(2);
        Assert.That((pool.HasRoomFor(2), pool.HasRoomFor(3)), Is.EqualTo((true, false)));
    }

    [Test]
    public void A_promise_is_a_place_in_the_budget_until_it_is_kept_or_ended()
    {
        var budget = new MemoryBudget(3 * 8192);
        using BufferPool pool = Pool(8, budget: budget);
        pool.Promise(1);
        Assert.That(pool.HasRoomFor(2), Is.True);
        pool.Promise(2);
        Assert.That(pool.HasRoomFor(1), Is.False);
        pool.TryRent();
        Assert.That((pool.HasRoomFor(1), pool.Made), Is.EqualTo((false, 1)), "the others are kept yet");
        Assert.That(pool.EndPromises(), Is.True);
        Assert.That(budget.Used, Is.EqualTo(8192));
        Assert.That((pool.HasRoomFor(1), pool.Made), Is.EqualTo((true, 1)));
        Assert.That(pool.EndPromises(), Is.False, "there were none");
        Assert.That(budget.Used, Is.EqualTo(8192));
    }

    [Test]
    public void Who_may_not_wait_gets_a_buffer_beyond_the_most_and_the_budget_and_that_is_counted()
    {
        var budget = new MemoryBudget(8192);
        using BufferPool pool = Pool(2, budget: budget);
        pool.Promise(5);
        nint[] buffers = [.. Enumerable.Range(0, 5).Select(_ => (nint)pool.TryRent())];
        Assert.That(buffers, Is.Unique.And.None.EqualTo((nint)0));
        Assert.That((pool.EndPromises(), pool.HasRoomFor(1), budget.Used), Is.EqualTo((false, false, 5 * 8192)));
        foreach (nint buffer in buffers)
            pool.Return((byte*)buffer);
        for (int second = 0; second < 2; second++)
            pool.Tidy(Now(second));
        Assert.That((pool.Made, budget.Used), Is.EqualTo((0, 0)));
    }

    private static long Now(double seconds) => (long)((100 + seconds) * Idleness.Ticks);

    private static BufferPool Pool(int most, int kept = 0, MemoryBudget? budget = null, Func<long, NativeBuffer>? make = null) =>
        new(make ?? (length => new NativeBuffer(length)), 8192, most, kept, budget ?? new MemoryBudget(long.MaxValue));

    private static void Use(BufferPool pool, int buffers)
    {
        nint[] rented = [.. Enumerable.Range(0, buffers).Select(_ => (nint)pool.TryRent())];
        foreach (nint buffer in rented)
            pool.Return((byte*)buffer);
    }
}
