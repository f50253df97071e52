using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;
using Xen.Blkif.Tests.Engine;

namespace Xen.Blkif.Tests.Security;

/// <summary>Attacks by the bytes of the shared ring.</summary>
[TestFixture(BlkifProtocol.X64)]
[TestFixture(BlkifProtocol.X86)]
internal sealed unsafe class RingTests(BlkifProtocol protocol)
{
    private const ulong Id = 0x0123_4567_89AB_CDEF;

    private FrontendOptions Options => new() { Protocol = protocol };

    // Whenever the engine leaves its own code: to fetch data, in the target, to deliver data.
    [Test]
    public void XSA_155_a_request_changed_while_it_is_copied_is_judged_by_one_snapshot([Values(BlkifOperation.Read, BlkifOperation.Write)] BlkifOperation operation)
    {
        FrontendQueue? queue = null;
        var seen = new List<string>();
        var disk = new MemoryTarget(1 << 20);
        var target = new FaultTarget(disk, (in BlockIo io) =>
        {
            Overwrite(queue!);
            seen.Add($"{io.Kind} {io.Offset}+{io.Length} in {io.Vectors[0].Length}");
            return BlockStatus.Okay;
        });
        using var pair = new QueuePair(target, Options, grants: real => new CheckedGrants(real, segment =>
        {
            seen.Add($"{segment.Length} at {segment.Offset} of {queue!.GrantOf(0, 0) == segment.Reference}");
            Overwrite(queue!);
        }));
        queue = pair.Frontend;
        disk.CopyFrom(8 * 512, Enumerable.Repeat((byte)7, 1024).ToArray());
        queue.Buffer(0).Fill(7);

        queue.Put(operation, Id, 8, [new BlkifSegment(queue.GrantOf(0, 0), 2, 3)]);
        pair.Run();

        Assert.That(seen, Is.EquivalentTo(new[] { $"{operation} 4096+1024 in 1024", "1024 at 1024 of True" }));
        Assert.That(queue.TryTake(out FrontendCompletion response), Is.True);
        Assert.That(response, Is.EqualTo(new FrontendCompletion(Id, operation, BlkifStatus.Okay)));
        Assert.That(queue.TryTake(out _), Is.False);
        Assert.That(queue.Buffer(0).ToArray(), Is.All.EqualTo(7), "nothing but the segment of the snapshot is written");
    }

    [Test]
    public void XSA_155_a_slot_that_changes_all_the_time_gives_requests_that_are_right_or_refused()
    {
        const int Requests = 20_000;
        string? wrong = null;
        int reached = 0;
        var target = new FaultTarget(new MemoryTarget(1 << 20), (in BlockIo io) =>
        {
            reached++;
            long total = 0;
            foreach (IoVector vector in io.Vectors)
                total += vector.Length;
            if (io.Offset < 0 || io.Offset + io.Length > 1 << 20 || (io.Kind is BlockIoKind.Read or BlockIoKind.Write && (total != io.Length || io.Length is 0 or > 11 * 4096)))
                wrong = $"{io.Kind} {io.Offset}+{io.Length} with vectors of {total}";
            return BlockStatus.Okay;
        });
        using var pair = new QueuePair(target, Options, grants: real => new CheckedGrants(real, segment =>
        {
            if (segment.Length == 0 || segment.Offset + segment.Length > XenPage.Size)
                wrong = $"a copy of {segment.Length} bytes at {segment.Offset}";
        }));
        FrontendQueue queue = pair.Frontend;
        byte* ring = (byte*)queue.RingAddress;
        uint reference = queue.GrantOf(0, 0).Value;
        using var stop = new CancellationTokenSource();
        var mutator = new Thread(() => Mutate(ring, reference, stop.Token));
        mutator.Start();

        int responses = 0;
        for (int i = 0; i < Requests; i++)
        {
            queue.Put(BlkifOperation.Read, 0, 0, 512);
            pair.Run();
            while (queue.TryTake(out _))
                responses++;
        }

        stop.Cancel();
        mutator.Join();
        Assert.That(wrong, Is.Null);
        Assert.That(responses, Is.EqualTo(Requests));
        Assert.That(reached, Is.Positive);
    }

    // Every field but the id, which the response would name.
    private void Mutate(byte* ring, uint reference, CancellationToken stop)
    {
        int sector = protocol == BlkifProtocol.X64 ? 16 : 12;
        int stride = protocol == BlkifProtocol.X64 ? 112 : 108;
        bool bad = false;
        while (!stop.IsCancellationRequested)
        {
            bad = !bad;
            for (int slot = 0; slot < 32; slot++)
            {
                byte* at = ring + 64 + (slot * stride);
                at[1] = bad ? (byte)255 : (byte)1;
                *(ulong*)(at + sector) = bad ? 1ul << 55 : 8;
                for (byte* segment = at + sector + 8; segment < at + stride; segment += 8)
                {
                    *(uint*)segment = reference;
                    segment[4] = bad ? (byte)9 : (byte)0;
                    segment[5] = bad ? (byte)255 : (byte)7;
                }
            }
        }
    }

    private void Overwrite(FrontendQueue queue) =>
        new Span<byte>((byte*)queue.RingAddress + 64, (protocol == BlkifProtocol.X64 ? 112 : 108) * 32).Fill(0xFF);
}
