using FsCheck;
using FsCheck.Fluent;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Engine;

/// <summary>Any sequence of requests, honest or not, ends as an array of bytes says that it must, with one response for each.</summary>
internal sealed class RequestEngineProperties
{
    private const int DiskSectors = 64;
    private const int Slots = 16;

    /// <summary>One request of a sequence.</summary>
    /// <param name="Operation">Any byte; mostly one of the protocol's.</param>
    /// <param name="Sector">The first sector; mostly on the disk.</param>
    /// <param name="Sectors">Sectors, up to 88.</param>
    /// <param name="BadGrant">The segment whose grant is none, if there is such a segment.</param>
    /// <param name="Fill">What a write writes.</param>
    /// <param name="Pushes">Whether the backend gets to see the requests so far.</param>
    internal sealed record Step(byte Operation, int Sector, int Sectors, int BadGrant, byte Fill, bool Pushes);

    [Test]
    public void Every_sequence_of_requests_ends_as_the_model_says(
        [Values(BlkifProtocol.X64, BlkifProtocol.X86)] BlkifProtocol protocol, [Values] GuestMemoryAccess access)
    {
        Gen<Step> step =
            from operation in Gen.Frequency((20, Gen.Elements<byte>(0, 1, 3, 5)), (1, Gen.Choose(0, 255).Select(value => (byte)value)))
            from sector in Gen.Frequency((9, Gen.Choose(0, DiskSectors - 1)), (1, Gen.Choose(DiskSectors, 200)))
            from sectors in Gen.Frequency((1, Gen.Constant(0)), (6, Gen.Choose(1, 16)), (2, Gen.Choose(1, 88)))
            from badGrant in Gen.Frequency((9, Gen.Constant(-1)), (1, Gen.Choose(0, 10)))
            from fill in Gen.Choose(1, 255)
            from pushes in Gen.Elements(true, false)
            select new Step(operation, sector, sectors, badGrant, (byte)fill, pushes);

        Property property = Prop.ForAll(step.ListOf().ToArbitrary(), steps => Holds(protocol, access, steps));
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(300), property);
    }

    private static bool Holds(BlkifProtocol protocol, GuestMemoryAccess access, List<Step> steps)
    {
        using var pair = new QueuePair(
            new MemoryTarget(DiskSectors * 512),
            new FrontendOptions { Protocol = protocol, Depth = Slots, MaxIndirectSegments = 0 },
            configure: settings => settings with { GuestMemory = access, MaxPersistentGrants = 100 });
        var model = new byte[DiskSectors * 512];
        var expected = new List<(ulong Id, byte Operation, BlkifStatus Status, byte[]? Data)>();
        bool right = true;
        for (int i = 0; i < steps.Count; i++)
        {
            int slot = expected.Count;
            Put(pair.Frontend, slot, steps[i]);
            (BlkifStatus status, byte[]? data) = Apply(model, steps[i], pair.Frontend.Buffer(slot).ToArray());
            expected.Add(((ulong)slot, OperationToAnswer(steps[i]), status, data));
            if (steps[i].Pushes || expected.Count == Slots || i == steps.Count - 1)
            {
                pair.Run();
                right &= IsAnswered(pair.Frontend, expected);
            }
        }

        return right && pair.Engine.InFlight == 0;
    }

    private static void Put(FrontendQueue queue, int slot, Step step)
    {
        queue.Buffer(slot).Fill(step.Fill);
        if (step.Operation == (byte)BlkifOperation.Discard)
        {
            queue.PutDiscard((ulong)slot, (ulong)step.Sector, (ulong)step.Sectors);
            return;
        }

        BlkifSegment[] segments = Enumerable.Range(0, (step.Sectors + 7) / 8).Select(i => new BlkifSegment(
            i == step.BadGrant ? new GrantReference(3) : queue.GrantOf(slot, i), 0, (byte)(Math.Min(8, step.Sectors - (i * 8)) - 1))).ToArray();
        queue.Put((BlkifOperation)step.Operation, (ulong)slot, (ulong)step.Sector, segments);
    }

    // Of an indirect request, what it meant, which stands where others have the number of segments.
    private static byte OperationToAnswer(Step step) => step.Operation == 6 ? (byte)((step.Sectors + 7) / 8) : step.Operation;

    private static (BlkifStatus Status, byte[]? Data) Apply(byte[] model, Step step, byte[] buffer)
    {
        bool transfers = step.Operation is 0 or 1 || (step.Operation == 3 && step.Sectors > 0);
        if (step.Operation is not (0 or 1 or 3 or 5))
            return (BlkifStatus.NotSupported, null);
        if (step is { Operation: 3, Sectors: 0 })
            return (BlkifStatus.Okay, null);
        if (step.Sectors == 0 || step.Sector + step.Sectors > DiskSectors)
            return (BlkifStatus.Error, null);

        Span<byte> range = model.AsSpan(step.Sector * 512, step.Sectors * 512);
        bool bad = transfers && step.BadGrant >= 0 && step.BadGrant < (step.Sectors + 7) / 8;
        if (step.Operation == 5)
            range.Clear();
        else if (step.Operation != 0 && !bad)
            range.Fill(step.Fill);
        if (step.Operation != 0 || bad)
            return (bad ? BlkifStatus.Error : BlkifStatus.Okay, null);

        range.CopyTo(buffer);
        return (BlkifStatus.Okay, buffer);
    }

    private static bool IsAnswered(FrontendQueue queue, List<(ulong Id, byte Operation, BlkifStatus Status, byte[]? Data)> expected)
    {
        while (queue.TryTake(out FrontendCompletion completion))
        {
            int index = expected.FindIndex(e => e.Id == completion.Id && e.Operation == (byte)completion.Operation && e.Status == completion.Status);
            if (index < 0)
                return false;
            if (expected[index].Data is { } data && !queue.Buffer((int)completion.Id).SequenceEqual(data))
                return false;
            expected.RemoveAt(index);
        }

        return expected.Count == 0;
    }
}
