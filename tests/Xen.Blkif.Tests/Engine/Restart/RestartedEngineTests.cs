using Xen.Blkif.Engine;
using Xen.Blkif.Fuzz;
using Xen.Blkif.Protocol;
using Xen.Blkif.Tests.Testing;

namespace Xen.Blkif.Tests.Engine.Restart;

[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class RestartedEngineTests
{
    // The ring has 32 slots: it goes round twice.
    private const ulong Total = 72;

    /// <summary>
    /// Everything that an engine does to the ring lies between two stores into its journal: taken requests before one, each response put before
    /// one, the index shown between two. So this is every state that a killed process can leave.
    /// </summary>
    [Test]
    public void Wherever_an_engine_is_killed_its_successor_answers_every_request_once_with_the_right_data(
        [Values(BlkifProtocol.X64, BlkifProtocol.X86)] BlkifProtocol protocol)
    {
        int step = 0;
        while (KillsHappen(protocol, step))
            step++;

        // Three stores for each request, and two places to be killed at each.
        Assert.That(step, Is.EqualTo((int)Total * 3 * 2));
    }

    [Test]
    public void A_successor_that_is_allowed_fewer_requests_takes_over_all_of_them()
    {
        using var lives = new EngineLives(BlkifProtocol.X64);
        lives.Start(new RingJournal(lives.Journal));
        lives.Ask(8);
        lives.Serve(done: 3);
        lives.Collect();
        Assert.That((lives.Answered, lives.Asked), Is.EqualTo((3ul, 5)));

        lives.Start(new RingJournal(lives.Journal), maxRequests: 1);
        for (int round = 0; round < 40; round++)
        {
            lives.Ask(20);
            lives.Serve(done: 1);
            lives.Collect();
        }

        Assert.That((lives.Answered, lives.Asked), Is.EqualTo((20ul, 0)));
        lives.AssertDisk();
    }

    [Test]
    public void A_request_allocates_nothing_where_a_journal_is_kept()
    {
        using var lives = new EngineLives(BlkifProtocol.X64);
        lives.Start(new RingJournal(lives.Journal));
        Assert.That(Allocations.Of(lives.WriteOnce), Is.Zero);
    }

    // False where the work was done before that step came.
    private static bool KillsHappen(BlkifProtocol protocol, int step)
    {
        using var lives = new EngineLives(protocol);
        int killed = 0;
        lives.Start(new MortalJournal(lives.Journal, step));
        for (int round = 0; lives.Answered < Total; round++)
        {
            Assert.That(round, Is.LessThan(1000), "every request is answered");
            try
            {
                lives.Ask(Total);
                lives.Serve(done: 3);
            }
            catch (KilledException)
            {
                killed++;
                Restart(lives, step);
            }

            lives.Collect();
        }

        lives.AssertDisk();
        return killed > 0;
    }

    // The successor is killed as well, while it takes over or soon after; the one after it lives.
    private static void Restart(EngineLives lives, int step)
    {
        try
        {
            lives.Start(new MortalJournal(lives.Journal, step % 23));
            lives.Serve(done: 2);
        }
        catch (KilledException)
        {
            // As intended, most of the time.
        }

        lives.Collect();
        lives.Start(new RingJournal(lives.Journal));
    }
}
