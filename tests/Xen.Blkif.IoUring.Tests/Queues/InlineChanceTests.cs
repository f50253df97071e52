using Xen.Blkif.IoUring.Queues;

namespace Xen.Blkif.IoUring.Tests.Queues;

internal sealed class InlineChanceTests
{
    [Test]
    public void While_it_comes_off_every_request_is_tried()
    {
        var chance = default(InlineChance);
        for (int i = 0; i < 1000; i++)
        {
            Assert.That(chance.TakeTurn(), Is.True);
            chance.Learn(cameOff: true);
        }
    }

    [Test]
    public void What_never_comes_off_is_hardly_tried()
    {
        var chance = default(InlineChance);
        Assert.That(Tries(ref chance, 10_000, cameOff: false), Is.LessThan(50));
    }

    [Test]
    public void A_change_of_fortune_is_noticed_soon()
    {
        var chance = default(InlineChance);
        Tries(ref chance, 10_000, cameOff: false);
        Assert.That(Tries(ref chance, 10_000, cameOff: true), Is.GreaterThan(9_000));
    }

    private static int Tries(ref InlineChance chance, int requests, bool cameOff)
    {
        int tries = 0;
        for (int i = 0; i < requests; i++)
        {
            if (!chance.TakeTurn())
                continue;
            tries++;
            chance.Learn(cameOff);
        }

        return tries;
    }
}
