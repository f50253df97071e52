using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;
using Xen.Blkif.Tests.Backend;

namespace Xen.Blkif.Tests.Security;

/// <summary>Attacks by the pages that a guest grants, and a hypervisor that fails.</summary>
internal sealed class GrantTests
{
    // XSA-361, XSA-362, XSA-367.
    [Test]
    public async Task XSA_361_whichever_call_of_the_hypervisor_fails_each_request_has_one_answer_and_nothing_stays_mapped()
    {
        int calls = await SessionWithFault(-1);
        Assert.That(calls, Is.GreaterThan(20));
        for (int failing = 0; failing < calls; failing++)
            await SessionWithFault(failing);
    }

    [Test]
    public void XSA_371_after_a_hundred_thousand_failed_requests_nothing_is_mapped()
    {
        const int Requests = 100_000;
        using var pair = new QueuePair(new FaultTarget(new MemoryTarget(1 << 20), (in BlockIo io) => io.Slot % 3 == 0 ? BlockStatus.Error : BlockStatus.Okay));
        FrontendQueue queue = pair.Frontend;
        int mapped = pair.Xen.Grants.MappedPages;
        int failed = 0;
        var random = new Random(1);
        for (int i = 0; i < Requests; i += 32)
        {
            for (int slot = 0; slot < 32; slot++)
            {
                GrantReference reference = random.Next(2) == 0 ? queue.GrantOf(slot, 1) : new GrantReference((uint)random.Next());
                queue.Put(
                    random.Next(2) == 0 ? BlkifOperation.Read : BlkifOperation.Write, (ulong)slot, (ulong)random.Next(2048),
                    [new BlkifSegment(queue.GrantOf(slot, 0), 0, 7), new BlkifSegment(reference, 0, (byte)random.Next(9))]);
            }

            pair.Run();
            while (queue.TryTake(out FrontendCompletion response))
                failed += response.Status == BlkifStatus.Okay ? 0 : 1;
        }

        Assert.That(failed, Is.GreaterThan(Requests / 3));
        Assert.That(queue.Free, Is.EqualTo(32), "each has had its answer");
        Assert.That(pair.Xen.Grants.MappedPages, Is.EqualTo(mapped), "the ring");
    }

    [Test]
    public void XSA_448_a_request_without_segments_copies_nothing([Range(0, 7)] int operation)
    {
        int copies = 0;
        using var pair = new QueuePair(new MemoryTarget(1 << 20), grants: real => new CheckedGrants(real, _ => copies++));
        pair.Frontend.Put((BlkifOperation)operation, 1, 0, []);
        pair.Run();
        Assert.That(pair.Frontend.TryTake(out FrontendCompletion response), Is.True);
        Assert.That(response.Id, Is.EqualTo(1));
        Assert.That(copies, Is.Zero);
    }

    [Test]
    public async Task XSA_300_a_device_maps_no_more_than_the_ring_that_it_offered([Values(0, 2)] int order)
    {
        await using var stage = new Stage();
        stage.Options = stage.Options with { MaxRingPageOrder = order };
        int most = 0;
        stage.Xen.Grants.MapFault = (_, _) =>
        {
            most = Math.Max(most, stage.Xen.Grants.MappedPages);
            return GrantStatus.Okay;
        };
        await using BlockBackend backend = await stage.AttachAsync();
        for (int asked = 0; asked <= 4; asked++)
        {
            using (FrontendQueue queue = stage.OfferRing(new FrontendOptions { Protocol = BlkifProtocol.X64, Depth = 4, RingPageOrder = asked }))
            {
                stage.WriteFe("state", "3");
                await stage.BackendIs(asked <= order ? XenbusState.Connected : XenbusState.Closing);
                Assert.That(stage.Xen.Grants.MappedPages, Is.EqualTo(asked <= order ? 1 << asked : 0));
                stage.WriteFe("state", "6");
                await stage.BackendIs(XenbusState.Closed);
            }

            stage.WriteFe("state", "1");
            await stage.BackendIs(XenbusState.InitWait);
        }

        Assert.That(most, Is.EqualTo(1 << order));
    }

    // One connection with one request after the other, so that the calls are the same each time. The failing one is counted from 0.
    private static async Task<int> SessionWithFault(int failing)
    {
        int calls = 0;
        await using var stage = new Stage();
        stage.Xen.Grants.MapFault = (_, _) => calls++ == failing ? GrantStatus.GeneralError : GrantStatus.Okay;
        stage.Xen.Grants.CopyFault = (_, _) => calls++ == failing ? GrantStatus.GeneralError : GrantStatus.Okay;
        stage.Xen.Events.BindFault = (_, _) => calls++ == failing;
        await using (BlockBackend backend = await stage.AttachAsync())
        {
            using (FrontendQueue queue = stage.OfferRing(new FrontendOptions { Protocol = BlkifProtocol.X64, Depth = 1, RingPageOrder = 2 }))
            {
                stage.WriteFe("state", "3");
                await Eventually.IsTrue(() => stage.ReadBe("state") is "4" or "5", "the guest is let in or refused");
                if (stage.ReadBe("state") == "4")
                {
                    int errors = 0;
                    foreach (BlkifOperation operation in new[] { BlkifOperation.Write, BlkifOperation.Read, BlkifOperation.FlushDiskCache })
                    {
                        queue.Put(operation, 0, 0, 8 * 4096);
                        queue.Push();
                        Assert.That(queue.Wait(20_000), Is.True, $"an answer to {operation}");
                        Assert.That(queue.TryTake(out FrontendCompletion response), Is.True);
                        Assert.That((response.Id, response.Operation), Is.EqualTo((0ul, operation)));
                        errors += response.Status == BlkifStatus.Okay ? 0 : 1;
                    }

                    Assert.That(errors, Is.EqualTo(failing < 0 ? 0 : 1));
                    Assert.That(queue.TryTake(out _), Is.False);
                }

                stage.WriteFe("state", "6");
                await stage.BackendIs(XenbusState.Closed);
                Assert.That((stage.Xen.Grants.MappedPages, stage.Xen.Events.Bound), Is.EqualTo((0, 0)));
            }

            int made = calls;
            stage.WriteFe("state", "1");
            await stage.BackendIs(XenbusState.InitWait);
            await using BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { Depth = 2 });
            Stage.DoesIo(frontend, 4096);
            calls = made;
        }

        stage.AssertNothingLeft();
        return calls;
    }
}
