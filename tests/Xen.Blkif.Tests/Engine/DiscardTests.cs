using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Engine;

[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class DiscardTests
{
    // In sectors; units of 8 that begin at sector 3.
    [TestCase(3u, 8u, "Discard 1536+4096")]
    [TestCase(2u, 10u, "Discard 1536+4096")]
    [TestCase(0u, 19u, "Discard 1536+8192")]
    [TestCase(4u, 15u, "Discard 5632+4096")]
    [TestCase(4u, 14u, null)]
    [TestCase(0u, 3u, null)]
    [TestCase(0u, 1u, null)]
    public void A_discard_is_rounded_inwards_to_the_units_of_the_storage(uint sector, uint sectors, string? expected)
    {
        var target = new ScriptedTarget
        {
            Info = Disk with { DiscardGranularity = 4096, DiscardAlignment = 1536 },
            Answer = _ => BlockStatus.Okay,
        };
        using var pair = new QueuePair(target);
        pair.Frontend.PutDiscard(7, sector, sectors);
        Assert.That(pair.RunForResponse(), Is.EqualTo(new FrontendCompletion(7, BlkifOperation.Discard, BlkifStatus.Okay)));
        Assert.That(target.Calls, Is.EqualTo(expected is null ? [] : new[] { expected }));
    }

    [Test]
    public void A_long_discard_is_cut_between_units()
    {
        var target = new ScriptedTarget
        {
            Info = Disk with { DiscardGranularity = 4096, MaxDiscardLength = 10_240 },
            Answer = _ => BlockStatus.Okay,
        };
        using var pair = new QueuePair(target);
        pair.Frontend.PutDiscard(7, 1, 40);
        pair.RunForResponse();
        Assert.That(target.Calls, Is.EqualTo(new[] { "Discard 4096+8192", "Discard 12288+8192" }));
    }

    [Test]
    public void Data_that_is_to_be_unrecoverable_is_erased_as_far_as_the_guest_said()
    {
        var target = new ScriptedTarget
        {
            Info = Disk with { DiscardGranularity = 4096, ErasesSecurely = true },
            Answer = _ => BlockStatus.Okay,
        };
        using var pair = new QueuePair(target);
        pair.Frontend.PutDiscard(7, 1, 9, BlkifLimits.SecureDiscard);
        Assert.That(pair.RunForResponse().Status, Is.EqualTo(BlkifStatus.Okay));
        Assert.That(target.Calls, Is.EqualTo(new[] { "SecureDiscard 512+4608" }));
    }

    [Test]
    public void A_disk_that_cannot_erase_says_so_instead_of_discarding()
    {
        var target = new ScriptedTarget { Info = Disk };
        using var pair = new QueuePair(target);
        pair.Frontend.PutDiscard(7, 0, 8, BlkifLimits.SecureDiscard);
        Assert.That(pair.RunForResponse().Status, Is.EqualTo(BlkifStatus.NotSupported));
        Assert.That(target.Calls, Is.Empty);
    }

    [Test]
    public void A_disk_that_cannot_erase_after_all_says_so()
    {
        var target = new ScriptedTarget { Info = Disk with { ErasesSecurely = true }, Answer = _ => BlockStatus.NotSupported };
        using var pair = new QueuePair(target);
        pair.Frontend.PutDiscard(7, 0, 8, BlkifLimits.SecureDiscard);
        Assert.That(pair.RunForResponse().Status, Is.EqualTo(BlkifStatus.NotSupported));
    }

    private static BlockTargetInfo Disk { get; } = new(1 << 20) { Discard = Capability.Native };
}
