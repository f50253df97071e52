using Xen.Blkif.Backend;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Backend;

/// <summary>Disks whose nodes somebody else has made.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class ServeTests
{
    [TestCase("r")]
    [TestCase("")]
    [TestCase(null)]
    [Property("Advisory", "XSA-142")]
    public async Task A_disk_that_the_toolstack_does_not_call_writable_is_read_only_whatever_the_target_can_do(string? mode)
    {
        await using var stage = new Stage();
        stage.ToolstackAttaches();
        if (mode is null)
            stage.Xen.Store.Remove($"{Stage.Be}/mode");
        else
            stage.Xen.Store.Write($"{Stage.Be}/mode", mode);
        await using BlockBackend served = await BlockBackend.ServeAsync(stage.Xen, Stage.GuestId, "xvda", stage.Target, stage.Options);
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        Assert.That((stage.ReadBe("info"), frontend.IsReadOnly, frontend.HasDiscard), Is.EqualTo(("4", true, false)));
        Assert.That(() => frontend.Disk.Write(0, new byte[512]), Throws.InstanceOf<BlkifRequestException>());
        Assert.That(() => frontend.Disk.Discard(0, 512), Throws.InstanceOf<BlkifRequestException>());
    }

    [Test]
    public async Task What_another_backend_offered_here_is_not_offered_any_more()
    {
        await using var stage = new Stage(new ReadOnlyTarget(new MemoryTarget(1 << 20)));
        stage.Options = stage.Options with { MaxIndirectSegments = 0 };
        stage.ToolstackAttaches();
        foreach (string key in new[] { "feature-discard", "discard-secure", "feature-max-indirect-segments" })
            stage.Xen.Store.Write($"{Stage.Be}/{key}", "1");
        await using BlockBackend served = await BlockBackend.ServeAsync(stage.Xen, Stage.GuestId, "xvda", stage.Target, stage.Options);
        foreach (string key in new[] { "feature-discard", "discard-secure", "feature-max-indirect-segments" })
            Assert.That(stage.ReadBe(key), Is.Null, key);
    }

    [Test]
    public async Task A_ring_that_an_earlier_backend_served_goes_on_where_that_one_left_off([Values(3, 32, 100)] int answeredBefore)
    {
        await using var stage = new Stage();
        BlockBackend first = await stage.AttachAsync();
        using FrontendQueue queue = stage.OfferRing();
        stage.WriteFe("state", "4");
        await stage.BackendIs(XenbusState.Connected);
        for (int i = 0; i < answeredBefore; i++)
            ReadOne(queue);

        // The first one goes without the guest's having a part in it; the ring lives on in the guest's memory.
        await first.DisposeAsync();
        stage.ToolstackAttaches();
        stage.WriteFe("ring-ref", queue.RingReferences[0].ToString());
        stage.WriteFe("protocol", "x86_64-abi");
        using SimulatedEventChannel channel = stage.Guest.AllocateUnbound(0);
        stage.WriteFe("event-channel", $"{channel.Port}");
        stage.WriteFe("state", "4");
        await using BlockBackend second = await BlockBackend.ServeAsync(stage.Xen, Stage.GuestId, "xvda", stage.Target, stage.Options);
        await stage.BackendIs(XenbusState.Connected);

        Assert.That(queue.TryTake(out _), Is.False, "nothing was asked");
        queue.Put(BlkifOperation.Read, 1, 0, 512);
        queue.Push();
        channel.Notify();
        FrontendCompletion completion = default;
        await Eventually.IsTrue(() => queue.TryTake(out completion), "the one request is answered");
        Assert.That(second.Queues[0].Requests, Is.EqualTo(1));
        Assert.That(completion, Is.EqualTo(new FrontendCompletion(1, BlkifOperation.Read, BlkifStatus.Okay)));
        await second.DisposeAsync();
    }

    private static void ReadOne(FrontendQueue queue)
    {
        queue.Put(BlkifOperation.Read, 0, 0, 512);
        queue.Push();
        Assert.That(queue.Wait(10_000), Is.True);
        Assert.That(queue.TryTake(out FrontendCompletion completion), Is.True);
        Assert.That(completion.Status, Is.EqualTo(BlkifStatus.Okay));
    }
}
