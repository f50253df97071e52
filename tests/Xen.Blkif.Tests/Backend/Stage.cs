using Microsoft.Extensions.Logging;
using Xen.Blkif.Backend;
using Xen.Blkif.Engine;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Backend;

/// <summary>A Xen with a guest and a disk, to attach it, to look at its nodes, and to see that nothing stays behind.</summary>
internal sealed class Stage : IAsyncDisposable
{
    public const int GuestId = 5;
    public const string Fe = "/local/domain/5/device/vbd/51712";
    public const string Be = "/local/domain/0/backend/blkif/5/51712";
    public const string ErrorFolder = "/local/domain/0/error/backend/blkif/5";
    public const string Error = ErrorFolder + "/51712/error";

    public Stage(IBlockTarget? target = null)
    {
        Target = target ?? Disk;
        Guest = Xen.CreateGuest(GuestId);

        // Persistent grants, with which there is the most to let go of.
        Options = new BackendOptions
        {
            MaxQueues = 4, GuestMemory = GuestMemoryAccess.Persistent, LoggerFactory = Log, DetachTimeout = TimeSpan.FromMilliseconds(50), MemoryBudget = Budget,
        };
    }

    public SimulatedXen Xen { get; } = new();

    public SimulatedGuest Guest { get; }

    /// <summary>The disk that is served, unless the test brought its own target.</summary>
    public MemoryTarget Disk { get; } = new(1 << 20);

    public IBlockTarget Target { get; }

    public LogLines Log { get; } = new();

    /// <summary>What the disks of this stage take, and no others.</summary>
    public MemoryBudget Budget { get; } = new(long.MaxValue);

    public BackendOptions Options { get; set; }

    /// <summary>Attaches <c>xvda</c>.</summary>
    public Task<BlockBackend> AttachAsync() => BlockBackend.AttachAsync(Xen, GuestId, "xvda", Target, Options);

    public Task<BlkifFrontend> ConnectAsync(FrontendOptions? options = null) => BlkifFrontend.ConnectAsync(Guest, "xvda", options);

    public string? ReadBe(string key) => Xen.Store.Read($"{Be}/{key}");

    public string? ReadFe(string key) => Xen.Store.Read($"{Fe}/{key}");

    /// <summary>Writes as the guest.</summary>
    public void WriteFe(string key, string value) => Guest.Store.Write($"{Fe}/{key}", value);

    /// <summary>Waits until the backend announces a state in the store.</summary>
    public Task BackendIs(XenbusState state) =>
        Eventually.IsTrue(() => ReadBe("state") == $"{(int)state}", () => $"the backend's state is {state}, it is {ReadBe("state") ?? "gone"}");

    /// <summary>What the guest has to do to connect: a ring, an event channel, and the keys that say where they are.</summary>
    public FrontendQueue OfferRing(FrontendOptions? options = null) => OfferRings(1, options)[0];

    /// <summary>The same with several queues, each with its keys in a folder.</summary>
    public FrontendQueue[] OfferRings(int queues, FrontendOptions? options = null)
    {
        options ??= new FrontendOptions { Protocol = BlkifProtocol.X64, Depth = 4 };
        if (options.RingPageOrder > 0)
            WriteFe("ring-page-order", $"{options.RingPageOrder}");
        else
            Guest.Store.Remove($"{Fe}/ring-page-order");
        if (queues > 1)
            WriteFe("multi-queue-num-queues", $"{queues}");
        else
            Guest.Store.Remove($"{Fe}/multi-queue-num-queues");
        WriteFe("protocol", BlkifProtocols.NameOf(options.Protocol));
        return [.. Enumerable.Range(0, queues).Select(i => Offer(queues > 1 ? $"queue-{i}/" : ""))];

        FrontendQueue Offer(string folder)
        {
            FrontendQueue queue = FrontendQueue.Create(Guest, Xen.Domain, options);
            for (int i = 0; i < queue.RingReferences.Count; i++)
                WriteFe(options.RingPageOrder > 0 ? $"{folder}ring-ref{i}" : $"{folder}ring-ref", queue.RingReferences[i].ToString());
            WriteFe($"{folder}event-channel", $"{queue.Channel.Port}");
            return queue;
        }
    }

    /// <summary>As a toolstack detaches: both nodes in one transaction.</summary>
    public void ToolstackDetaches()
    {
        bool done = false;
        while (!done)
        {
            using var transaction = Xen.Store.BeginTransaction();
            transaction.Write($"{Be}/online", "0");
            transaction.Write($"{Be}/state", "5");
            done = transaction.TryCommit();
        }
    }

    /// <summary>As a toolstack attaches: both halves in one transaction, with what it knows of the disk.</summary>
    public void ToolstackAttaches()
    {
        using var transaction = Xen.Store.BeginTransaction();
        foreach ((string key, string value) in new[] { ("frontend", Fe), ("frontend-id", "5"), ("online", "1"), ("mode", "w"), ("state", "1") })
            transaction.Write($"{Be}/{key}", value);
        transaction.SetPermissions(Be, 0, Hypervisor.XenStorePermission.None, new Hypervisor.XenStoreEntry(GuestId, Hypervisor.XenStorePermission.Read));
        foreach (string key in new[] { "frontend", "frontend-id", "online", "state" })
            transaction.SetPermissions($"{Be}/{key}", 0, Hypervisor.XenStorePermission.None, new Hypervisor.XenStoreEntry(GuestId, Hypervisor.XenStorePermission.Read));
        transaction.Write(Fe, "");
        transaction.SetPermissions(Fe, GuestId, Hypervisor.XenStorePermission.None, new Hypervisor.XenStoreEntry(0, Hypervisor.XenStorePermission.ReadWrite));
        foreach ((string key, string value) in new[] { ("backend", Be), ("backend-id", "0"), ("virtual-device", "51712"), ("state", "1") })
            transaction.Write($"{Fe}/{key}", value);
        Assert.That(transaction.TryCommit(), Is.True);
    }

    /// <summary>A guest that has to let go of its disk does so, and then connects like any other.</summary>
    public async Task LetGoAndConnectProperly()
    {
        WriteFe("state", "5");
        WriteFe("state", "6");
        await BackendIs(XenbusState.Closed);
        Assert.That(Xen.Grants.MappedPages, Is.Zero, "mapped when the backend says that it has closed");
        Assert.That(Xen.Events.Bound, Is.Zero, "bound when the backend says that it has closed");
        foreach (string name in Guest.Store.List(Fe).Where(name => name.StartsWith("ring-", StringComparison.Ordinal) || name == "num-ring-pages"))
            Guest.Store.Remove($"{Fe}/{name}");
        WriteFe("state", "1");
        await using BlkifFrontend frontend = await ConnectAsync();
        DoesIo(frontend);
        Assert.That(Xen.Store.Read(Error), Is.Null, "the reason is gone when the disk is offered anew");
    }

    /// <summary>Writes, flushes, reads back and compares.</summary>
    public static void DoesIo(BlkifFrontend frontend, int length = 96 * 1024, int seed = 1)
    {
        byte[] written = new byte[length];
        new Random(seed).NextBytes(written);
        frontend.Disk.Write(8192, written);
        frontend.Disk.Flush();
        byte[] read = new byte[length];
        frontend.Disk.Read(8192, read);
        Assert.That(read.AsSpan().SequenceEqual(written), Is.True, "what was written comes back");
    }

    /// <summary>Nothing is mapped, bound or watched, and no node of the disk is there.</summary>
    public void AssertNothingLeft(string when = "at the end")
    {
        Assert.Multiple(() =>
        {
            Assert.That(Xen.Grants.MappedPages, Is.Zero, $"mapped pages {when}");
            Assert.That(Xen.Events.Bound, Is.Zero, $"bound ports {when}");
            Assert.That(Budget.Used, Is.Zero, $"bytes taken from the budget {when}");
            Assert.That(Xen.Store.Watches, Is.Zero, $"watches {when}");
            Assert.That(Xen.Store.List("/local/domain/0/backend/blkif"), Is.Empty, $"nodes of the backend {when}");
            Assert.That(Xen.Store.List("/local/domain/5/device/vbd"), Is.Empty, $"nodes of the frontend {when}");
            Assert.That(Xen.Store.List("/local/domain/0/error/backend/blkif"), Is.Empty, $"reasons {when}");
        });
    }

    public string[] Warnings() => Log.AtLeast(LogLevel.Warning);

    public async ValueTask DisposeAsync()
    {
        Xen.Dispose();
        await Disk.DisposeAsync();
    }
}
