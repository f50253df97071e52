using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

/// <summary>What becomes of the tasks of a target that someone writes.</summary>
internal sealed class AsyncBlockTargetTests
{
    private static readonly Exception[] Failures =
    [
        new IOException("broken"), new InvalidOperationException("bug"), new OperationCanceledException(), new TimeoutException(),
    ];

    [Test]
    public void An_exception_fails_its_request_alone([ValueSource(nameof(Failures))] Exception failure, [Values] bool later)
    {
        var target = new Scripted { Work = offset => offset == 0 ? Throw(failure, later) : default };
        using var driver = new TargetDriver(target);
        Assert.That(driver.Do(BlockIoKind.Read, 0, 512), Is.EqualTo(BlockStatus.Error));
        Assert.That(driver.Do(BlockIoKind.Write, 0, 512), Is.EqualTo(BlockStatus.Error));
        Assert.That(driver.Do(BlockIoKind.Read, 512, 512), Is.EqualTo(BlockStatus.Okay), "the slot serves the next request");
    }

    [Test]
    public void An_exception_before_any_task_is_a_failure_too()
    {
        using var driver = new TargetDriver(new Scripted { Work = _ => throw new IOException() });
        Assert.That(driver.Do(BlockIoKind.Read, 0, 512), Is.EqualTo(BlockStatus.Error));
    }

    [Test]
    public void Not_supported_is_an_answer_of_its_own([Values] bool later)
    {
        using var driver = new TargetDriver(new Scripted { Work = _ => Throw(new NotSupportedException(), later) });
        Assert.That(driver.Do(BlockIoKind.Write, 0, 512), Is.EqualTo(BlockStatus.NotSupported));
    }

    [Test]
    public void What_a_target_does_not_override_is_not_supported()
    {
        using var driver = new TargetDriver(new Scripted());
        Assert.That(driver.Do(BlockIoKind.Flush), Is.EqualTo(BlockStatus.NotSupported));
        Assert.That(driver.Do(BlockIoKind.Discard, 0, 512), Is.EqualTo(BlockStatus.NotSupported));
        Assert.That(driver.Do(BlockIoKind.SecureDiscard, 0, 512), Is.EqualTo(BlockStatus.NotSupported));
    }

    [Test]
    public void A_request_in_several_pieces_of_memory_is_one_call([Values] bool later)
    {
        var target = new Scripted { Work = _ => later ? Yield() : default };
        using var driver = new TargetDriver(target);
        driver.Lay(0, 512, 1536, 1024);
        driver.StartLaid(BlockIoKind.Write, 0, 8192);
        Assert.That(driver.Wait(0), Is.EqualTo(BlockStatus.Okay));
        Assert.That(target.Calls, Is.EqualTo(new[] { (8192L, 3072) }));
    }

    [Test]
    public void A_request_in_several_pieces_that_fails_leaves_its_slot_to_the_next([Values] bool later)
    {
        var target = new Scripted { Work = offset => offset == 8192 ? Throw(new IOException(), later) : default };
        using var driver = new TargetDriver(target);
        driver.Lay(0, 512, 1536, 1024);
        driver.StartLaid(BlockIoKind.Read, 0, 8192);
        Assert.That(driver.Wait(0), Is.EqualTo(BlockStatus.Error));
        Assert.That(driver.Do(BlockIoKind.Read, 0, 512), Is.EqualTo(BlockStatus.Okay));
    }

    [Test]
    public unsafe void The_memory_that_a_target_gets_is_the_requests_own_and_can_be_pinned()
    {
        nint pinned = 0;
        var target = new Scripted
        {
            Memory = memory =>
            {
                using System.Buffers.MemoryHandle handle = memory[16..].Pin();
                pinned = (nint)handle.Pointer;
            },
        };
        using var driver = new TargetDriver(target);
        driver.Do(BlockIoKind.Read, 0, 512);
        fixed (byte* start = driver.Buffer(0))
            Assert.That(pinned, Is.EqualTo((nint)start + 16));
    }

    private static async ValueTask Yield() => await Task.Yield();

    private static async ValueTask Throw(Exception failure, bool later)
    {
        if (later)
            await Task.Yield();
        throw failure;
    }

    private sealed class Scripted : AsyncBlockTarget
    {
        public Func<long, ValueTask> Work { get; init; } = _ => default;

        public Action<Memory<byte>> Memory { get; init; } = _ => { };

        public List<(long Offset, int Length)> Calls { get; } = [];

        public override BlockTargetInfo Info { get; } = new(1 << 20);

        public override ValueTask ReadAsync(long offset, Memory<byte> buffer)
        {
            Memory(buffer);
            return WriteAsync(offset, buffer);
        }

        public override ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
        {
            Calls.Add((offset, buffer.Length));
            return Work(offset);
        }
    }
}
