using Xen.Blkif.Backend;
using Xen.Blkif.Targets;
using Xen.Blkif.Tests.Engine;

namespace Xen.Blkif.Tests.Backend;

/// <summary>What a guest is told of the kind of its drive, and of its discards.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class DriveKindTests
{
    // 1 CD-ROM, 2 removable, 4 read-only.
    [TestCase("disk", "0", "w", "0")]
    [TestCase("disk", "1", "w", "2")]
    [TestCase("disk", "1", "r", "6")]
    [TestCase("cdrom", "0", "w", "3")]
    [TestCase("cdrom", "1", "r", "7")]
    [TestCase(null, null, "w", "0")]
    public async Task A_drive_is_what_the_toolstack_says(string? deviceType, string? removable, string mode, string info)
    {
        await using var stage = new Stage();
        Offer(stage, ("device-type", deviceType), ("removable", removable), ("mode", mode));
        await using BlockBackend served = await BlockBackend.ServeAsync(stage.Xen, Stage.GuestId, "xvda", stage.Target, stage.Options);
        Assert.That(stage.ReadBe("info"), Is.EqualTo(info));
    }

    [TestCase(false, false, "0", "0", "disk")]
    [TestCase(true, false, "3", "1", "cdrom")]
    [TestCase(false, true, "2", "1", "disk")]
    public async Task A_drive_that_is_attached_here_is_what_the_options_say(bool isCdrom, bool isRemovable, string info, string removable, string deviceType)
    {
        await using var stage = new Stage();
        stage.Options = stage.Options with { IsCdrom = isCdrom, IsRemovable = isRemovable };
        await using BlockBackend backend = await stage.AttachAsync();
        Assert.That((stage.ReadBe("info"), stage.ReadBe("removable"), stage.ReadBe("device-type"), stage.ReadFe("device-type")),
            Is.EqualTo((info, removable, deviceType, deviceType)));
    }

    [TestCase("0", null)]
    [TestCase("1", "1")]
    [TestCase(null, "1")]
    public async Task Discards_are_offered_where_the_toolstack_does_not_forbid_them(string? enable, string? offered)
    {
        await using var stage = new Stage();
        Offer(stage, ("discard-enable", enable));
        await using BlockBackend served = await BlockBackend.ServeAsync(stage.Xen, Stage.GuestId, "xvda", stage.Target, stage.Options);
        Assert.That(stage.ReadBe("feature-discard"), Is.EqualTo(offered));
    }

    [Test]
    public async Task The_toolstack_cannot_allow_what_the_options_forbid()
    {
        await using var stage = new Stage();
        stage.Options = stage.Options with { AllowsDiscard = false };
        await using BlockBackend backend = await stage.AttachAsync();
        Assert.That((stage.ReadBe("discard-enable"), stage.ReadBe("feature-discard")), Is.EqualTo(("0", (string?)null)));
    }

    [Test]
    public async Task The_units_of_discards_are_told_and_whether_they_erase([Values] bool erases)
    {
        await using var stage = new Stage(new ScriptedTarget
        {
            Info = new BlockTargetInfo(1 << 20) { Discard = Capability.Native, DiscardGranularity = 65536, DiscardAlignment = 4096, ErasesSecurely = erases },
        });
        await using BlockBackend backend = await stage.AttachAsync();
        Assert.That(
            (stage.ReadBe("discard-granularity"), stage.ReadBe("discard-alignment"), stage.ReadBe("discard-secure")),
            Is.EqualTo(("65536", "4096", erases ? "1" : "0")));
    }

    [TestCase(true, Capability.Native, "1")]
    [TestCase(true, Capability.None, "0")]
    [TestCase(false, Capability.Native, "0")]
    public async Task Barriers_are_offered_by_option_and_where_the_target_can_flush(bool option, Capability flush, string offered)
    {
        await using var stage = new Stage(new ScriptedTarget { Info = new BlockTargetInfo(1 << 20) { Flush = flush } });
        stage.Options = stage.Options with { OffersBarriers = option };
        await using BlockBackend backend = await stage.AttachAsync();
        Assert.That(stage.ReadBe("feature-barrier"), Is.EqualTo(offered));
    }

    private static void Offer(Stage stage, params (string Key, string? Value)[] nodes)
    {
        stage.ToolstackAttaches();
        foreach ((string key, string? value) in nodes)
        {
            if (value is not null)
                stage.Xen.Store.Write($"{Stage.Be}/{key}", value);
        }
    }
}
