using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Xen.Blkif.Targets;
using Xen.Blkif.Tests;
using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.IoUring.Tests;

/// <summary>Where io_uring is missing or forbidden. The kernel is made to say so to one thread, which ends with the test.</summary>
[Platform("Linux")]
internal sealed class FallBackTests
{
    private const int NotPermitted = 1, NoSystemCall = 38;

    [TestCase(NotPermitted, "io_uring is forbidden here")]
    [TestCase(NoSystemCall, "this kernel has no io_uring")]
    public async Task A_file_is_served_by_threads_and_the_log_says_why(int error, string reason)
    {
        using var folder = new TemporaryFolder();
        var log = new Lines();
        string path = folder.AddSparse("disk.img", 1 << 20);
        await using IBlockTarget target = Without(error, () => FileTargets.Open(path, new FileTargetOptions { Logger = log }));
        Assert.That(target, Is.TypeOf<FileTarget>());
        Assert.That(log.Text.Single(), Does.Contain(path).And.Contain("by threads").And.Contain(reason));
        using var driver = new TargetDriver(target);
        driver.Write(4096, [1, 2, 3, 4]);
        Assert.That(driver.Read(4096, 4), Is.EqualTo(new byte[] { 1, 2, 3, 4 }));
    }

    [Test]
    public void The_target_itself_says_why_it_cannot_be_opened()
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", 1 << 20);
        string message = Without(NotPermitted, () => Assert.Throws<TargetException>(() => IoUringTarget.Open(path))!.Message);
        Assert.That(message, Does.Contain(path).And.Contain("kernel.io_uring_disabled"));
        Assert.That(folder.OpenFiles(), Is.Empty);
    }

    [Test]
    public async Task A_queue_for_which_there_is_no_ring_any_more_is_served_by_threads()
    {
        Ring.Require();
        using var folder = new TemporaryFolder();
        var log = new Lines();
        await using IoUringTarget target = IoUringTarget.Open(folder.AddSparse("disk.img", 1 << 20), new FileTargetOptions { Logger = log, Workers = 0 });
        using var driver = Without(NotPermitted, () => new TargetDriver(target));
        driver.Write(4096, [1, 2, 3, 4]);
        Assert.That(driver.Read(4096, 4), Is.EqualTo(new byte[] { 1, 2, 3, 4 }));
        Assert.That(log.Text.Single(), Does.Contain("by threads"));
    }

    [Test]
    public async Task Where_there_is_io_uring_it_is_used()
    {
        Ring.Require();
        using var folder = new TemporaryFolder();
        await using IBlockTarget target = FileTargets.Open(folder.AddSparse("disk.img", 1 << 20));
        Assert.That(target, Is.TypeOf<IoUringTarget>());
    }

    [Test]
    public async Task A_file_in_memory_is_served_as_a_file_target_serves_it()
    {
        Ring.Require();
        const string Memory = "/dev/shm";
        if (!Directory.Exists(Memory))
            Assert.Ignore($"ignored: there is no {Memory}");
        string path = Path.Combine(Memory, $"xen-blkif-{Guid.NewGuid():N}");
        File.WriteAllBytes(path, new byte[8192]);
        try
        {
            await using IoUringTarget target = IoUringTarget.Open(path);
            using var driver = new TargetDriver(target);
            Assert.That(target.OpenQueue(4, driver, new Queues.ScriptedDescriptors()), Is.Null, "there is nothing to wait in");
            Assert.That(driver.Read(0, 512), Is.All.Zero);
        }
        finally
        {
            File.Delete(path);
        }
    }

    // A filter of system calls, as containers have one: io_uring_setup fails, on a thread of its own.
    private static T Without<T>(int error, Func<T> action)
    {
        T result = default!;
        Exception? failure = null;
        bool filtered = false;
        var thread = new Thread(() =>
        {
            try
            {
                filtered = Filter(error);
                if (filtered)
                    result = action();
            }
            catch (Exception e)
            {
                failure = e;
            }
        });
        thread.Start();
        thread.Join();
        if (failure is not null)
            throw failure;
        if (!filtered)
            Requirement.IsMissing("this system lets a thread have no filter of its system calls");
        return result;
    }

    private static unsafe bool Filter(int error)
    {
        const int NoNewPrivileges = 38, SetFilter = 22, FilterMode = 2, Setup = 425;
        const uint Allow = 0x7FFF0000, Fail = 0x00050000;

        // Load the number of the call; where it is not io_uring_setup, skip one; fail; allow. Each: code, jumps, operand.
        ulong* program = stackalloc ulong[]
        {
            Instruction(0x20, 0, 0, 0), Instruction(0x15, 0, 1, Setup), Instruction(0x06, 0, 0, Fail | (uint)error), Instruction(0x06, 0, 0, Allow),
        };
        nint* filter = stackalloc nint[] { 4, (nint)program };
        return Control(NoNewPrivileges, 1, 0, 0, 0) == 0 && Control(SetFilter, FilterMode, (nint)filter, 0, 0) == 0;
    }

    private static ulong Instruction(ushort code, byte whenTrue, byte whenFalse, uint operand) =>
        code | ((ulong)whenTrue << 16) | ((ulong)whenFalse << 24) | ((ulong)operand << 32);

    [DllImport("libc", EntryPoint = "prctl")]
    private static extern int Control(int option, nint a, nint b, nint c, nint d);

    private sealed class Lines : ILogger
    {
        public List<string> Text { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (Text)
                Text.Add(formatter(state, exception));
        }
    }
}
