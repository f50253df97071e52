using Xen.Blkif.Backend;
using Xen.Blkif.Engine;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Backend;

/// <summary>A guest never takes a flush that failed for one that it need not ask for any more.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class LostFlushTests
{
    [Test]
    public async Task A_disk_whose_flushes_fail_is_closed_with_a_reason_and_the_flush_is_not_answered()
    {
        bool failing = true;
        var target = new FaultTarget(
            new MemoryTarget(1 << 20), (in BlockIo io) => Volatile.Read(ref failing) && io.Kind == BlockIoKind.Flush ? BlockStatus.Error : BlockStatus.Okay);
        await using var stage = new Stage(target);
        stage.Options = stage.Options with { FlushFailure = new FlushFailurePolicy { Retries = 2, Pause = TimeSpan.FromMilliseconds(1) } };
        await using BlockBackend backend = await stage.AttachAsync();
        using FrontendQueue queue = stage.OfferRing();
        stage.WriteFe("state", "4");
        await stage.BackendIs(XenbusState.Connected);
        queue.Put(BlkifOperation.FlushDiskCache, 0, 0, 0);
        queue.Push();

        await stage.BackendIs(XenbusState.Closing);
        Assert.That(stage.Xen.Store.Read(Stage.Error), Does.Contain("A flush failed, and what was written before it may be lost."));
        Assert.That(queue.TryTake(out _), Is.False);
        Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((0, 0)));

        Volatile.Write(ref failing, false);
        await stage.LetGoAndConnectProperly();
    }

    [Test]
    public async Task A_disk_that_holds_its_flushes_answers_when_the_storage_is_back()
    {
        int failures = 20;
        var target = new FaultTarget(
            new MemoryTarget(1 << 20),
            (in BlockIo io) => io.Kind == BlockIoKind.Flush && Interlocked.Decrement(ref failures) >= 0 ? BlockStatus.Error : BlockStatus.Okay);
        await using var stage = new Stage(target);
        stage.Options = stage.Options with { FlushFailure = FlushFailurePolicy.Hold with { Pause = TimeSpan.FromMilliseconds(1) } };
        await using BlockBackend backend = await stage.AttachAsync();
        await using BlkifFrontend frontend = await stage.ConnectAsync();
        frontend.Disk.Flush();
        Assert.That(failures, Is.Negative);
        Assert.That(backend.State, Is.EqualTo(XenbusState.Connected));
    }

    [Test]
    public async Task A_guest_that_lets_go_while_a_flush_is_held_is_not_held_up()
    {
        var target = new FaultTarget(new MemoryTarget(1 << 20), (in BlockIo io) => io.Kind == BlockIoKind.Flush ? BlockStatus.Error : BlockStatus.Okay);
        await using var stage = new Stage(target);
        stage.Options = stage.Options with { FlushFailure = FlushFailurePolicy.Hold with { Pause = TimeSpan.FromHours(1) } };
        await using BlockBackend backend = await stage.AttachAsync();
        using FrontendQueue queue = stage.OfferRing();
        stage.WriteFe("state", "4");
        await stage.BackendIs(XenbusState.Connected);
        queue.Put(BlkifOperation.FlushDiskCache, 0, 0, 0);
        queue.Put(BlkifOperation.Read, 1, 0, 512);
        queue.Push();
        await Eventually.IsTrue(() => queue.TryTake(out _), "the read is answered");
        stage.WriteFe("state", "6");
        await stage.BackendIs(XenbusState.Closed);
        Assert.That(queue.TryTake(out _), Is.False);
    }
}
