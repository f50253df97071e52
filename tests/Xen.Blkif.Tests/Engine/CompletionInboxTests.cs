using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Engine;

internal sealed class CompletionInboxTests
{
    [Test]
    public void No_result_and_no_wake_up_is_lost_between_threads()
    {
        const int Slots = 64, Rounds = 20_000;
        using var bell = new Bell();
        var inbox = new CompletionInbox(Slots, bell);
        var work = new System.Collections.Concurrent.BlockingCollection<int>();
        Thread[] workers = Enumerable.Range(0, 3).Select(_ => new Thread(() =>
        {
            foreach (int slot in work.GetConsumingEnumerable())
                inbox.Complete(slot, slot % 2 == 0 ? BlockStatus.Okay : BlockStatus.Error);
        })).ToArray();
        Array.ForEach(workers, worker => worker.Start());

        var free = new Stack<int>(Enumerable.Range(0, Slots));
        var random = new Random(1);
        int issued = 0, collected = 0;
        while (collected < Rounds)
        {
            for (int burst = random.Next(Slots); burst > 0 && free.Count > 0 && issued < Rounds; burst--, issued++)
            {
                int slot = free.Pop();
                inbox.Expect(slot);
                work.Add(slot);
            }

            if (free.Count < Slots && FallsAsleep(inbox))
                Assert.That(bell.Wait(30_000), Is.True, "a sleeper that nobody wakes");
            inbox.WakeUp();

            for (int next = inbox.TakeAll(); next >= 0;)
            {
                int slot = next;
                next = inbox.Collect(slot, out BlockStatus status);
                Assert.That(status, Is.EqualTo(slot % 2 == 0 ? BlockStatus.Okay : BlockStatus.Error));
                free.Push(slot);
                collected++;
            }
        }

        work.CompleteAdding();
        Array.ForEach(workers, worker => worker.Join());
        Assert.That(issued, Is.EqualTo(Rounds));
        Assert.That(free, Is.Unique.And.Count.EqualTo(Slots));
    }

    [Test]
    public void A_result_before_sleep_keeps_the_owner_awake_and_rings_no_bell()
    {
        using var bell = new Bell();
        var inbox = new CompletionInbox(1, bell);
        inbox.Expect(0);
        inbox.Complete(0, BlockStatus.Okay);
        Assert.That(FallsAsleep(inbox), Is.False);
        Assert.That(bell.Wait(0), Is.False);
    }

    [Test]
    public void A_request_that_was_done_at_once_cannot_be_completed_as_well()
    {
        using var bell = new Bell();
        var inbox = new CompletionInbox(1, bell);
        inbox.Expect(0);
        Assert.That(inbox.TryForget(0), Is.True);
        Assert.That(() => inbox.Complete(0, BlockStatus.Okay), Throws.InvalidOperationException.With.Message.Contains("slot 0"));
        Assert.That(inbox.TakeAll(), Is.Negative);
    }

    [Test]
    public void A_request_that_was_completed_cannot_be_forgotten()
    {
        using var bell = new Bell();
        var inbox = new CompletionInbox(1, bell);
        inbox.Expect(0);
        inbox.Complete(0, BlockStatus.Okay);
        Assert.That(inbox.TryForget(0), Is.False);
        Assert.That(inbox.TakeAll(), Is.Zero);
    }

    [Test]
    public void Of_two_threads_one_that_completes_and_one_that_forgets_exactly_one_wins()
    {
        const int Rounds = 50_000;
        using var bell = new Bell();
        var inbox = new CompletionInbox(1, bell);
        using var barrier = new Barrier(2);
        bool completed = false;
        var other = new Thread(() =>
        {
            for (int round = 0; round < Rounds; round++)
            {
                barrier.SignalAndWait();
                try
                {
                    inbox.Complete(0, BlockStatus.Okay);
                    completed = true;
                }
                catch (InvalidOperationException)
                {
                    completed = false;
                }

                barrier.SignalAndWait();
            }
        });
        other.Start();
        int both = 0;
        for (int round = 0; round < Rounds; round++)
        {
            inbox.Expect(0);
            barrier.SignalAndWait();
            bool forgotten = inbox.TryForget(0);
            barrier.SignalAndWait();
            if (forgotten == completed)
                both++;
            if (inbox.TakeAll() == 0)
                _ = inbox.Collect(0, out _);
        }

        other.Join();
        Assert.That(both, Is.Zero);
    }

    [Test]
    public void Pending_is_no_result()
    {
        using var bell = new Bell();
        var inbox = new CompletionInbox(1, bell);
        inbox.Expect(0);
        Assert.That(() => inbox.Complete(0, BlockStatus.Pending), Throws.InvalidOperationException);
    }

    // As an engine does it.
    private static bool FallsAsleep(CompletionInbox inbox)
    {
        inbox.FallAsleep();
        Interlocked.MemoryBarrier();
        return !inbox.HasResults;
    }

    private sealed class Bell : IEventChannel
    {
        private readonly SemaphoreSlim _rung = new(0);

        public bool Wait(int millisecondsTimeout) => _rung.Wait(millisecondsTimeout);

        public bool WaitForWake(int millisecondsTimeout) => _rung.Wait(millisecondsTimeout);

        public void Notify() => throw new NotSupportedException();

        public void Wake() => _rung.Release();

        public void Dispose() => _rung.Dispose();
    }
}
