using System.Runtime.InteropServices;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.PerfTests.Reference;
using Xen.Blkif.PerfTests.Ring;
using Xen.Blkif.Protocol;
using Xen.Blkif.Tests;

namespace Xen.Blkif.PerfTests.Tests.Ring;

/// <summary>The backend in C is a fair peer only where it gives the guest what the engine gives it.</summary>
internal sealed class ReferenceTests
{
    private const int Requests = 4000;

    [OneTimeSetUp]
    public void Compile()
    {
        try
        {
            ReferenceLibrary.Require();
        }
        catch (UserException e)
        {
            Requirement.IsMissing(e.Message.TrimEnd('.'));
        }
    }

    [Test]
    public void Random_requests_leave_the_same_ring_behind_in_CSharp_and_in_C(
        [Values(BlkifProtocol.X64, BlkifProtocol.X86)] BlkifProtocol protocol, [Values] ReferenceWay way, [Values] bool readOnly)
    {
        using var ours = new RingGuest(protocol) { HasReadOnlyDisk = readOnly };
        using var theirs = new RingGuest(protocol) { HasReadOnlyDisk = readOnly };
        using var engine = new EngineBackend(ours, EngineWay.Sleeping); // so that it asks for events, as C does
        using var reference = new ReferenceBackend(theirs, way);
        var random = new Random(20261121);
        for (int i = 0; i < Requests; i++)
        {
            FillSegments(random, ours);
            FillRequest(random, ours.Slot(ours.Announced), protocol);
            ours.Segments.CopyTo(theirs.Segments);
            ours.Slot(ours.Announced).CopyTo(theirs.Slot(theirs.Announced));
            string request = Convert.ToHexString(ours.Slot(ours.Announced));

            engine.Serve(1);
            reference.Serve(1);

            Assert.That(theirs.RingBytes.SequenceEqual(ours.RingBytes), Is.True, () => $"request {i}: {request}");
        }

        Assert.That(reference.Done, Is.EqualTo(engine.Done).And.InRange(Requests / 10, Requests - (Requests / 10)), "both kinds were there");
    }

    [TestCaseSource(nameof(Workloads))]
    public void Everything_that_is_measured_is_done(RingWorkload workload)
    {
        Func<RingGuest, IRingBackend>[] backends =
        [
            guest => new EngineBackend(guest, EngineWay.Looking),
            guest => new EngineBackend(guest, EngineWay.Sleeping),
            guest => new ReferenceBackend(guest, ReferenceWay.PerRequest),
            guest => new ReferenceBackend(guest, ReferenceWay.PerPass),
        ];
        foreach (Func<RingGuest, IRingBackend> backend in backends)
        {
            using var stand = new RingStand(workload, backend);
            Assert.That(() => stand.Measure(TimeSpan.FromMilliseconds(1)), Throws.Nothing);
        }
    }

    public static IEnumerable<RingWorkload> Workloads => RingWorkload.All;

    private static void FillSegments(Random random, RingGuest guest)
    {
        for (int i = 0; i < RingGuest.MaxIndirectSegments; i++)
            guest.Segments[i] = Segment(random);
    }

    // Mostly honest, so that much of it is done, and each field dishonest at times.
    private static void FillRequest(Random random, Span<byte> slot, BlkifProtocol protocol)
    {
        random.NextBytes(slot);
        if (random.Next(20) == 0)
            return;
        if (protocol == BlkifProtocol.X86)
            Fill<X86Request>(random, slot);
        else
            Fill<X64Request>(random, slot);
    }

    private static void Fill<TRequest>(Random random, Span<byte> slot)
        where TRequest : unmanaged, IBlkifRequest
    {
        TRequest request = default;
        ulong id = (ulong)random.NextInt64();
        ulong sector = random.Next(8) == 0 ? (ulong)random.NextInt64(long.MinValue, long.MaxValue) : (ulong)random.Next((int)RingGuest.Sectors);
        switch (random.Next(4))
        {
            case 0:
                byte meant = (byte)random.Next(random.Next(4) == 0 ? 8 : 2);
                request.SetIndirect((BlkifOperation)meant, id, sector, (ushort)random.Next(RingGuest.MaxIndirectSegments + 2), new GrantReference(4));
                break;
            case 1:
                request.SetDiscard(id, sector, random.Next(8) == 0 ? ulong.MaxValue : (ulong)random.Next(1000), (byte)(random.Next(4) == 0 ? 1 : 0));
                break;
            default:
                var segments = new BlkifSegment[random.Next(BlkifLimits.MaxSegments + 1)];
                for (int i = 0; i < segments.Length; i++)
                    segments[i] = Segment(random);
                request.SetTransfer((BlkifOperation)random.Next(random.Next(4) == 0 ? 8 : 2), id, sector, segments);
                break;
        }

        MemoryMarshal.Write(slot, request);
        if (random.Next(30) == 0)
            slot[1] = (byte)random.Next(256);
    }

    private static BlkifSegment Segment(Random random)
    {
        bool dishonest = random.Next(60) == 0;
        byte first = (byte)random.Next(dishonest ? 256 : BlkifLimits.SectorsPerPage);
        byte last = (byte)random.Next(dishonest ? 0 : first, dishonest ? 256 : BlkifLimits.SectorsPerPage);
        return new BlkifSegment(new GrantReference((uint)random.Next()), first, last);
    }
}
