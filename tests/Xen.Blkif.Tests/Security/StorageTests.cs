using Microsoft.Extensions.Logging;
using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;
using Xen.Blkif.Tests.Backend;
using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.Tests.Security;

/// <summary>Attacks on what the disk is made of, and on the host's own.</summary>
internal sealed class StorageTests
{
    [Test]
    public async Task CVE_2013_2140_a_read_only_disk_stays_byte_for_byte_what_it_is()
    {
        byte[] content = new byte[1 << 20];
        new Random(1).NextBytes(content);
        await using var stage = new Stage();
        stage.Disk.CopyFrom(0, content);
        stage.ToolstackAttaches();
        stage.Xen.Store.Write($"{Stage.Be}/mode", "r");
        await using BlockBackend served = await BlockBackend.ServeAsync(stage.Xen, Stage.GuestId, "xvda", stage.Disk, stage.Options);
        await using BlkifFrontend frontend = await stage.ConnectAsync(new FrontendOptions { Protocol = BlkifProtocol.X64 });
        FrontendQueue queue = frontend.Queue;
        queue.Buffer(0).Fill(0xEE);

        foreach (BlkifOperation operation in new[] { BlkifOperation.Write, BlkifOperation.WriteBarrier, BlkifOperation.FlushDiskCache, BlkifOperation.Indirect })
            queue.Put(operation, 0, 0, 8192);
        queue.PutDiscard(0, 0, 16);
        queue.PutDiscard(0, 0, 16, BlkifLimits.SecureDiscard);
        queue.Push();
        for (int answers = 0; answers < 6; answers++)
        {
            Assert.That(queue.Wait(20_000), Is.True);
            Assert.That(queue.TryTake(out FrontendCompletion response), Is.True);
            Assert.That(response.Status, Is.Not.EqualTo(BlkifStatus.Okay), $"{response.Operation}");
        }

        byte[] now = new byte[content.Length];
        stage.Disk.CopyTo(0, now);
        Assert.That(now.AsSpan().SequenceEqual(content), Is.True);
    }

    [TestCase(1ul << 55, Description = "0 bytes modulo 2^64")]
    [TestCase((1ul << 55) + 1)]
    [TestCase(1ul << 63)]
    [TestCase(ulong.MaxValue)]
    [TestCase(ulong.MaxValue - 7, Description = "ends at 0 modulo 2^64")]
    [TestCase(2048ul)]
    [TestCase(2041ul)]
    public void CVE_2008_0928_what_is_outside_of_the_disk_is_neither_read_nor_written(ulong sector)
    {
        var disk = new MemoryTarget(1 << 20);
        disk.CopyFrom(0, Enumerable.Repeat((byte)7, 1 << 20).ToArray());
        using var pair = new QueuePair(disk);
        pair.Frontend.Buffer(0).Fill(1);
        pair.Frontend.Put(BlkifOperation.Read, 0, sector, 4096);
        pair.Frontend.Put(BlkifOperation.Write, 0, sector, 4096);
        pair.Frontend.PutDiscard(0, sector, 8);
        pair.Run();

        for (int i = 0; i < 3; i++)
        {
            Assert.That(pair.Frontend.TryTake(out FrontendCompletion response), Is.True);
            Assert.That(response.Status, Is.EqualTo(BlkifStatus.Error));
        }

        byte[] now = new byte[1 << 20];
        disk.CopyTo(0, now);
        Assert.That(now, Is.All.EqualTo(7));
        Assert.That(pair.Frontend.Buffer(0).ToArray(), Is.All.EqualTo(1));
    }

    [Test]
    public async Task CVE_2008_1945_an_image_into_which_the_guest_writes_a_header_is_raw_when_it_is_opened_again()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Add("disk.img", new byte[1 << 20]);

        // Magic, version, and where the name of the backing file is and how long.
        byte[] header = [(byte)'Q', (byte)'F', (byte)'I', 0xFB, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 11, .. "/etc/shadow"u8, .. new byte[512 - 31]];

        await using (FileTarget target = FileTarget.Open(path))
        {
            using var pair = new QueuePair(target);
            header.CopyTo(pair.Frontend.Buffer(0));
            pair.Frontend.Put(BlkifOperation.Write, 0, 0, 512);
            Assert.That(pair.RunForResponse().Status, Is.EqualTo(BlkifStatus.Okay));
        }

        await using (FileTarget again = FileTarget.Open(path))
        {
            Assert.That(again.Info.Length, Is.EqualTo(1 << 20));
            using var pair = new QueuePair(again);
            pair.Frontend.Put(BlkifOperation.Read, 0, 0, 4096);
            Assert.That(pair.RunForResponse().Status, Is.EqualTo(BlkifStatus.Okay));
            Assert.That(pair.Frontend.Buffer(0)[..512].SequenceEqual(header), Is.True);
            Assert.That(pair.Frontend.Buffer(0)[512..4096].ToArray(), Is.All.Zero);
        }
    }

    [Test]
    public async Task XSA_142_the_file_of_a_read_only_disk_is_opened_for_reading_only([Values] bool readOnly)
    {
        if (!Directory.Exists("/proc/self/fdinfo"))
            Requirement.IsMissing("there is no /proc");
        using var folder = new TemporaryFolder();
        string path = folder.Add("disk.img", new byte[4096]);
        await using FileTarget target = FileTarget.Open(path, new FileTargetOptions { ReadOnly = readOnly });

        string descriptor = Directory.GetFiles("/proc/self/fd").Single(file => new FileInfo(file).LinkTarget == path);
        string flags = (await File.ReadAllLinesAsync(descriptor.Replace("/fd/", "/fdinfo/", StringComparison.Ordinal))).Single(line => line.StartsWith("flags:", StringComparison.Ordinal));
        const int AccessMode = 3;
        Assert.That(Convert.ToInt32(flags["flags:".Length..].Trim(), 8) & AccessMode, Is.EqualTo(readOnly ? 0 : 2), flags);
    }

    [Test]
    public void XSA_180_a_million_bad_requests_are_a_few_lines_of_log()
    {
        const int Requests = 1_000_000;
        var log = new Counting();
        using var pair = new QueuePair(new FaultTarget(new MemoryTarget(1 << 20), (in BlockIo _) => BlockStatus.Error), logger: log);
        FrontendQueue queue = pair.Frontend;
        for (int i = 0; i < Requests; i += 32)
        {
            for (int slot = 0; slot < 32; slot += 2)
            {
                queue.Put(BlkifOperation.Read, slot, ulong.MaxValue, 512);
                queue.Put(BlkifOperation.Read, slot, 0, 512);
            }

            pair.Run();
            while (queue.TryTake(out FrontendCompletion response))
                Assume.That(response.Status, Is.EqualTo(BlkifStatus.Error));
        }

        Assert.That(log.Lines, Is.InRange(20, 200), "ten of each kind at once, and ten a minute");
    }

    private sealed class Counting : ILogger
    {
        public int Lines { get; private set; }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Lines++;
    }
}
