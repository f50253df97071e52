using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

/// <summary>What a file can do to a disk, and what the operator then reads.</summary>
internal sealed class FileTargetTests
{
    private const int MiB = 1 << 20;

    private static readonly FileTargetOptions Inline = new() { Workers = 0 };

    [Test]
    public void A_missing_file_is_named()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "absent.img");
        Assert.That(Refusal(path), Is.EqualTo($"The image '{path}' does not exist."));
        Assert.That(Refusal(Path.Combine(path, "deeper")), Does.Contain("does not exist"));
    }

    [TestCase(false)]
    [TestCase(true)]
    public void A_directory_is_called_one(bool readOnly)
    {
        using var folder = new TemporaryFolder();
        Assert.That(Refusal(folder.Path, new FileTargetOptions { ReadOnly = readOnly }), Is.EqualTo($"The image '{folder.Path}' is a directory."));
    }

    [TestCase(false, "let this user write to it, or serve it read-only")]
    [TestCase(true, "let this user read it")]
    [Platform("Linux")]
    public void A_file_that_may_not_be_opened_comes_with_the_remedy(bool readOnly, string remedy)
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, UnixFileMode.None);
        string message = AsNobody(() => Refusal(path, new FileTargetOptions { ReadOnly = readOnly }));
        Assert.That(message, Is.EqualTo($"The image '{path}' may not be opened: {remedy}."));
    }

    [Test]
    public void An_empty_file_is_no_disk()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Add("disk.img", []);
        Assert.That(Refusal(path), Does.StartWith($"The image '{path}' is empty: ").And.Contain("truncate"));
    }

    [TestCase(1, 512)]
    [TestCase(MiB + 511, 512)]
    [TestCase(MiB + 512, 4096)]
    [TestCase(MiB + 2048, 4096)]
    public void A_file_without_whole_sectors_is_no_disk(int length, int sectorSize)
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", length);
        Assert.That(
            Refusal(path, new FileTargetOptions { LogicalSectorSize = sectorSize }),
            Does.StartWith($"The image '{path}' has {length} bytes, which is not a multiple of {sectorSize}: ").And.Contain($"'truncate -s %{sectorSize}'"));
        Assert.That(folder.OpenFiles(), Is.Empty, "what was refused is not left open");
    }

    [Test]
    public void Options_out_of_their_range_are_refused([Values(-1, 65)] int workers, [Values(0, 511, 513, 8192)] int sectorSize)
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        Assert.That(() => FileTarget.Open(path, new FileTargetOptions { Workers = workers }), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => FileTarget.Open(path, new FileTargetOptions { LogicalSectorSize = sectorSize }), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(folder.OpenFiles(), Is.Empty);
    }

    [TestCase(false, false)]
    [TestCase(false, true)]
    [TestCase(true, false)]
    public async Task A_file_that_is_written_by_one_is_opened_by_no_other(bool firstReadOnly, bool secondReadOnly)
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        await using FileTarget first = FileTarget.Open(path, new FileTargetOptions { ReadOnly = firstReadOnly });
        Assert.That(
            Refusal(path, new FileTargetOptions { ReadOnly = secondReadOnly }),
            Is.EqualTo($"The image '{path}' is in use: close what has it open, or serve it read-only everywhere."));
    }

    [Test]
    public async Task A_file_is_opened_read_only_many_times_and_free_again_when_all_are_closed()
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        var readOnly = new FileTargetOptions { ReadOnly = true };
        await using (FileTarget first = FileTarget.Open(path, readOnly))
        await using (FileTarget second = FileTarget.Open(path, readOnly))
            Assert.That((first.Info.ReadOnly, second.Info.ReadOnly), Is.EqualTo((true, true)));
        await using FileTarget writable = FileTarget.Open(path);
        Assert.That(writable.Info.ReadOnly, Is.False);
    }

    [Test]
    public async Task A_file_that_is_let_go_of_in_time_is_opened_after_all()
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        FileTarget first = FileTarget.Open(path);
        Task<FileTarget> second = Task.Run(() => FileTarget.Open(path, new FileTargetOptions { LockPatience = TimeSpan.FromMinutes(1) }));
        await Task.WhenAny(second, Task.Delay(50));
        Assert.That(second.IsCompleted, Is.False);
        await first.DisposeAsync();
        await (await second).DisposeAsync();
    }

    [Test]
    [Platform("Linux")]
    public async Task Direct_io_has_the_sectors_of_the_storage_and_its_data_comes_back()
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        if (Refusal(path, new FileTargetOptions { DirectIo = true }) is var refusal && refusal.Contains("page cache", StringComparison.Ordinal))
            Assert.Ignore($"ignored: {refusal}");
        await using FileTarget disk = FileTarget.Open(path, new FileTargetOptions { DirectIo = true, Workers = 0 });
        Assert.That(disk.File.IsDirect, Is.True);
        Assert.That(disk.Info.LogicalSectorSize, Is.EqualTo(disk.File.ProbeSmallestTransfer()));
        using var driver = new TargetDriver(disk);
        byte[] data = [.. Enumerable.Range(0, 4096).Select(i => (byte)(i + 1))];
        driver.Write(4096, data);
        Assert.That(driver.Read(4096, 4096), Is.EqualTo(data));
    }

    [Test]
    public async Task The_sector_size_that_was_asked_for_is_what_the_guest_sees()
    {
        using var folder = new TemporaryFolder();
        await using FileTarget disk = FileTarget.Open(folder.AddSparse("disk.img", MiB), new FileTargetOptions { LogicalSectorSize = 4096 });
        Assert.That((disk.Info.LogicalSectorSize, disk.Info.PhysicalSectorSize), Is.EqualTo((4096, 4096)));
    }

    [TestCase(0)]
    [TestCase(4)]
    [Platform("Linux")]
    public async Task The_disk_is_as_long_as_the_file_at_the_time(int workers)
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        await using FileTarget disk = FileTarget.Open(path, new FileTargetOptions { Workers = workers });
        using var driver = new TargetDriver(disk);
        BlockTargetInfo before = disk.Info;
        Truncate(path, 2 * MiB);
        Assert.That(disk.Info, Is.EqualTo(before with { Length = 2 * MiB }));
        byte[] last = [.. Enumerable.Repeat((byte)7, 512)];
        driver.Write((2 * MiB) - 512, last);
        Assert.That(driver.Read((2 * MiB) - 512, 512), Is.EqualTo(last));
        Truncate(path, MiB / 2);
        Assert.That(disk.Info, Is.EqualTo(before with { Length = MiB / 2 }));
        Assert.That(before.Length, Is.EqualTo(MiB), "what was said before stays as it was");
    }

    [TestCase(512, MiB + 1)]
    [TestCase(512, 0)]
    [TestCase(4096, (2 * MiB) + 512)]
    [Platform("Linux")]
    public async Task A_length_that_no_disk_can_have_is_passed_over_and_said_once(int sectorSize, int length)
    {
        using var folder = new TemporaryFolder();
        var log = new ListLogger();
        string path = folder.AddSparse("disk.img", MiB);
        await using FileTarget disk = FileTarget.Open(path, new FileTargetOptions { LogicalSectorSize = sectorSize, Logger = log });
        Truncate(path, length);
        for (int i = 0; i < 3; i++)
            Assert.That(disk.Info.Length, Is.EqualTo(MiB));
        Assert.That(log.Lines, Is.EqualTo(new[]
        {
            $"The image '{path}' has {length} bytes now, and a disk has whole sectors of {sectorSize}, at least one: its size stays {MiB} bytes",
        }));
        Truncate(path, 4 * MiB);
        Assert.That(disk.Info.Length, Is.EqualTo(4 * MiB));
    }

    [Test]
    public async Task The_content_never_decides_the_format()
    {
        byte[] header = [.. "QFI"u8, 0xfb, 0, 0, 0, 3, .. new byte[504]];
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        await using (FileTarget disk = FileTarget.Open(path, Inline))
        using (var driver = new TargetDriver(disk))
            driver.Write(0, header);

        await using (FileTarget disk = FileTarget.Open(path, Inline))
        using (var driver = new TargetDriver(disk))
        {
            Assert.That(disk.Info.Length, Is.EqualTo(MiB));
            Assert.That(driver.Read(0, 512), Is.EqualTo(header));
        }

        Assert.That(File.ReadAllBytes(path)[..512], Is.EqualTo(header));
    }

    [Test]
    [Platform("Linux")]
    public async Task A_flush_is_an_fsync_and_nothing_else_is()
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        await using FileTarget disk = FileTarget.Open(path, Inline);
        using var driver = new TargetDriver(disk);
        using var trace = TracedThread.Attach(folder, path, "trace=fsync,fdatasync,sync_file_range,msync");
        driver.Write(0, new byte[4096]);
        Assert.That(driver.Do(BlockIoKind.Flush), Is.EqualTo(BlockStatus.Okay));
        driver.Write(4096, new byte[4096]);
        string[] calls = trace.Release();
        Assert.That(
            calls.Where(call => call.Contains("sync(", StringComparison.Ordinal)).ToArray(),
            Has.Length.EqualTo(1).And.One.Matches(@"^(fsync|fdatasync)\(\d+\)\s+= 0$"));
    }

    [TestCase("EIO")]
    [TestCase("ENOSPC")]
    [TestCase("EROFS", Description = "the file system turned read-only after an error")]
    [TestCase("EINVAL")]
    [TestCase("EOPNOTSUPP")]
    [Platform("Linux")]
    public async Task A_flush_that_the_system_fails_is_never_answered_as_done(string error)
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        await using FileTarget disk = FileTarget.Open(path, Inline);
        using var driver = new TargetDriver(disk);
        using (TracedThread.Attach(folder, path, $"inject=fsync,fdatasync:error={error}"))
            Assert.That(driver.Do(BlockIoKind.Flush), Is.EqualTo(BlockStatus.Error));

        // The system has told of it and forgotten it: fsync would say now that all is well.
        Assert.That(driver.Do(BlockIoKind.Flush), Is.EqualTo(BlockStatus.Error));
        await disk.DisposeAsync();
        await using FileTarget anew = FileTarget.Open(path, Inline);
        using var next = new TargetDriver(anew);
        Assert.That(next.Do(BlockIoKind.Flush), Is.EqualTo(BlockStatus.Okay));
    }

    [TestCase(BlockIoKind.Read, "pread64", "EIO")]
    [TestCase(BlockIoKind.Write, "pwrite64", "EIO")]
    [TestCase(BlockIoKind.Write, "pwrite64", "ENOSPC", Description = "the file system is full")]
    [TestCase(BlockIoKind.Write, "pwrite64", "EDQUOT")]
    [TestCase(BlockIoKind.Write, "pwrite64", "EFBIG", Description = "past the largest file that is allowed")]
    [TestCase(BlockIoKind.Write, "pwrite64", "EPERM", Description = "the file was sealed")]
    [TestCase(BlockIoKind.Discard, "fallocate", "EIO")]
    [TestCase(BlockIoKind.Discard, "fallocate", "ENOSPC")]
    [Platform("Linux")]
    public async Task A_call_that_the_system_fails_fails_its_request_alone(BlockIoKind kind, string call, string error)
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        await using FileTarget disk = FileTarget.Open(path, Inline);
        using var driver = new TargetDriver(disk);
        using (TracedThread.Attach(folder, path, $"inject={call}:error={error}"))
            Assert.That(driver.Do(kind, 4096, 4096), Is.EqualTo(BlockStatus.Error));
        Assert.That(driver.Do(kind, 4096, 4096), Is.EqualTo(BlockStatus.Okay));
    }

    [TestCase(BlockIoKind.Read, "pread64")]
    [TestCase(BlockIoKind.Write, "pwrite64")]
    [TestCase(BlockIoKind.Discard, "fallocate")]
    [TestCase(BlockIoKind.Flush, "fsync")]
    [Platform("Linux")]
    public async Task A_call_that_a_signal_interrupts_is_made_again(BlockIoKind kind, string call)
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        await using FileTarget disk = FileTarget.Open(path, Inline);
        using var driver = new TargetDriver(disk);
        using var trace = TracedThread.Attach(folder, path, $"trace={call}", $"inject={call}:error=EINTR:when=1..2");
        Assert.That(driver.Do(kind, 0, kind == BlockIoKind.Flush ? 0 : 4096), Is.EqualTo(BlockStatus.Okay));
        Assert.That(trace.Release().Count(line => line.StartsWith(call, StringComparison.Ordinal)), Is.EqualTo(3));
    }

    [TestCase(BlockIoKind.Read, "preadv", "error=EINTR:when=1..2", 3, Description = "a signal")]
    [TestCase(BlockIoKind.Write, "pwritev", "error=EINTR:when=1..2", 3, Description = "a signal")]
    [TestCase(BlockIoKind.Read, "preadv", "retval=512:when=1", 2, Description = "the first piece")]
    [TestCase(BlockIoKind.Write, "pwritev", "retval=512:when=1", 2, Description = "the first piece")]
    [TestCase(BlockIoKind.Read, "preadv", "retval=100:when=1", 2, Description = "a part of the first")]
    [TestCase(BlockIoKind.Write, "pwritev", "retval=100:when=1", 2, Description = "a part of the first")]
    [TestCase(BlockIoKind.Read, "preadv", "retval=1000:when=1", 1, Description = "half of the second")]
    [TestCase(BlockIoKind.Write, "pwritev", "retval=1000:when=1", 1, Description = "half of the second")]
    [TestCase(BlockIoKind.Read, "preadv", "retval=2048:when=1", 1, Description = "but for the last")]
    [TestCase(BlockIoKind.Write, "pwritev", "retval=3000:when=1", 1, Description = "but for half of the last")]
    [TestCase(BlockIoKind.Read, "preadv", "retval=3072:when=1", 1, Description = "all")]
    [Platform("Linux")]
    public async Task Many_pieces_are_one_call_and_what_it_leaves_undone_is_done_after_it(BlockIoKind kind, string call, string injected, int calls)
    {
        int skipped = injected.StartsWith("retval", StringComparison.Ordinal) ? int.Parse(injected["retval=".Length..^":when=1".Length], CultureInfo.InvariantCulture) : 0;
        byte[] before = Enumerable.Range(0, 3072).Select(i => (byte)((i / 256) + 1)).ToArray();
        byte[] data = Enumerable.Range(0, 3072).Select(i => (byte)((i / 256) + 101)).ToArray();
        using var folder = new TemporaryFolder();
        string path = folder.Add("disk.img", kind == BlockIoKind.Read ? data : before);
        await using FileTarget disk = FileTarget.Open(path, Inline);
        using var driver = new TargetDriver(disk);
        driver.Lay(0, 512, 1536, 1024);
        driver.Scatter(0, kind == BlockIoKind.Read ? before : data);

        using var trace = TracedThread.Attach(folder, path, $"trace={call}", $"inject={call}:{injected}");
        driver.StartLaid(kind, 0, 0);
        Assert.That(driver.Wait(0), Is.EqualTo(BlockStatus.Okay));
        Assert.That(trace.Release().Count(line => line.StartsWith(call, StringComparison.Ordinal)), Is.EqualTo(calls));

        // What the system says that it has done, and here has not, stays; everything behind it is in its place.
        byte[] expected = [.. before[..skipped], .. data[skipped..]];
        byte[] result = driver.Gather(0, out bool untouched);
        Assert.That(untouched, Is.True);
        if (kind == BlockIoKind.Write)
        {
            Assert.That(driver.Do(BlockIoKind.Read, 0, 3072), Is.EqualTo(BlockStatus.Okay));
            result = driver.Buffer(0)[..3072].ToArray();
        }

        Assert.That(result, Is.EqualTo(expected));
    }

    [TestCase(BlockIoKind.Read, "preadv", "EIO")]
    [TestCase(BlockIoKind.Write, "pwritev", "EIO")]
    [TestCase(BlockIoKind.Write, "pwritev", "ENOSPC")]
    [Platform("Linux")]
    public async Task A_call_with_many_pieces_that_the_system_fails_fails_its_request_alone(BlockIoKind kind, string call, string error)
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        await using FileTarget disk = FileTarget.Open(path, Inline);
        using var driver = new TargetDriver(disk);
        driver.Lay(0, 512, 1536, 1024);
        using (TracedThread.Attach(folder, path, $"inject={call}:error={error}"))
        {
            driver.StartLaid(kind, 0, 0);
            Assert.That(driver.Wait(0), Is.EqualTo(BlockStatus.Error));
        }

        driver.StartLaid(kind, 0, 0);
        Assert.That(driver.Wait(0), Is.EqualTo(BlockStatus.Okay));
    }

    [Test]
    [Platform("Linux")]
    public async Task A_discard_that_the_file_system_cannot_do_after_all_says_so()
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        await using FileTarget disk = FileTarget.Open(path, Inline);
        using var driver = new TargetDriver(disk);
        using (TracedThread.Attach(folder, path, "inject=fallocate:error=EOPNOTSUPP"))
            Assert.That(driver.Do(BlockIoKind.Discard, 0, 4096), Is.EqualTo(BlockStatus.NotSupported));
    }

    [Test]
    [Platform("Linux")]
    public async Task A_file_system_without_holes_offers_no_discard()
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        using (TracedThread.Attach(folder, path, "inject=fallocate:error=EOPNOTSUPP"))
        {
            await using FileTarget disk = FileTarget.Open(path, Inline);
            Assert.That(disk.Info.Discard, Is.EqualTo(Capability.None));
        }
    }

    [Test]
    [Platform("Linux")]
    public async Task A_discard_gives_blocks_back_to_the_file_system_and_the_file_keeps_its_length()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Add("disk.img", Enumerable.Repeat((byte)7, MiB).ToArray());
        await using FileTarget disk = FileTarget.Open(path, Inline);
        if (disk.Info.Discard == Capability.None)
            Assert.Ignore("ignored: the file system of the temporary folder has no holes");

        using var driver = new TargetDriver(disk);
        Assert.That(driver.Do(BlockIoKind.Flush), Is.EqualTo(BlockStatus.Okay));
        long before = BlocksOf(path);
        Assert.That(driver.Do(BlockIoKind.Discard, 256 * 1024, 512 * 1024), Is.EqualTo(BlockStatus.Okay));
        Assert.That(before - BlocksOf(path), Is.EqualTo(1024), "blocks of 512 bytes");
        Assert.That(new FileInfo(path).Length, Is.EqualTo(MiB));
    }

    [Test]
    public async Task Opening_changes_nothing_of_the_file()
    {
        using var folder = new TemporaryFolder();
        byte[] content = [.. Enumerable.Range(0, 3 * 512).Select(i => (byte)i)];
        string path = folder.Add("disk.img", content);
        await FileTarget.Open(path).DisposeAsync();
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(content));
    }

    [TestCase(0)]
    [TestCase(4)]
    public async Task A_file_that_was_cut_short_fails_reads_behind_its_end_and_no_others(int workers)
    {
        using var folder = new TemporaryFolder();
        string path = folder.AddSparse("disk.img", MiB);
        await using FileTarget disk = FileTarget.Open(path, new FileTargetOptions { Workers = workers });
        using var driver = new TargetDriver(disk);
        Truncate(path, MiB / 2);
        Assert.That(driver.Do(BlockIoKind.Read, (MiB / 2) - 512, 1024), Is.EqualTo(BlockStatus.Error));
        Assert.That(driver.Do(BlockIoKind.Read, MiB - 512, 512), Is.EqualTo(BlockStatus.Error));
        Assert.That(driver.Do(BlockIoKind.Read, (MiB / 2) - 512, 512), Is.EqualTo(BlockStatus.Okay));
        Assert.That(driver.Do(BlockIoKind.Write, MiB - 512, 512), Is.EqualTo(BlockStatus.Okay), "a write makes the file longer again");
        Assert.That(driver.Do(BlockIoKind.Read, MiB - 512, 512), Is.EqualTo(BlockStatus.Okay));
    }

    [Test]
    public async Task What_fails_is_logged_with_file_and_place_but_not_without_end()
    {
        using var folder = new TemporaryFolder();
        var log = new ListLogger();
        string path = folder.AddSparse("disk.img", MiB);
        await using FileTarget disk = FileTarget.Open(path, new FileTargetOptions { Logger = log });
        using var driver = new TargetDriver(disk);
        Truncate(path, 512);
        for (int i = 0; i < 1_000; i++)
            Assert.That(driver.Do(BlockIoKind.Read, 8192, 512), Is.EqualTo(BlockStatus.Error));
        Assert.That(log.Lines.First(), Does.Contain(path).And.Contain("8192").And.Contain("Read").And.Contain("cut short"));
        Assert.That(log.Lines, Has.Count.LessThanOrEqualTo(20));
    }

    [TestCase(0)]
    [TestCase(4)]
    public async Task A_logger_that_throws_takes_nothing_along(int workers)
    {
        using var folder = new TemporaryFolder();
        var log = new ListLogger { Failure = new InvalidOperationException("the log is full") };
        string path = folder.AddSparse("disk.img", MiB);
        await using FileTarget disk = FileTarget.Open(path, new FileTargetOptions { Workers = workers, Logger = log });
        using var driver = new TargetDriver(disk);
        Truncate(path, 512);
        Assert.That(driver.Do(BlockIoKind.Read, 8192, 512), Is.EqualTo(BlockStatus.Error));
        Assert.That(driver.Do(BlockIoKind.Read, 0, 512), Is.EqualTo(BlockStatus.Okay));
    }

    [Test]
    public async Task A_queue_has_no_more_workers_than_slots()
    {
        using var folder = new TemporaryFolder();
        await using FileTarget disk = FileTarget.Open(folder.AddSparse("disk.img", MiB), new FileTargetOptions { Workers = 64 });
        using var driver = new TargetDriver(disk, depth: 2);
        for (int i = 0; i < 200; i++)
        {
            driver.Start(BlockIoKind.Read, 0, 0, 512);
            driver.Start(BlockIoKind.Read, 1, 0, 512);
            driver.Wait(0);
            driver.Wait(1);
        }

        Assert.That(driver.Threads, Has.Count.InRange(1, 2));
    }

    private static string Refusal(string path, FileTargetOptions? options = null)
    {
        try
        {
            FileTarget.Open(path, options).DisposeAsync().AsTask().GetAwaiter().GetResult();
            return "not refused";
        }
        catch (TargetException e)
        {
            return e.Message;
        }
    }

    internal static void Truncate(string path, long length)
    {
        // Not by .NET, which asks for the lock that the target holds.
        Assert.That(TruncateFile(path, length), Is.Zero);
    }

    private static long BlocksOf(string path)
    {
        using Process stat = Process.Start(new ProcessStartInfo("stat", ["-c", "%b", path]) { RedirectStandardOutput = true })!;
        string blocks = stat.StandardOutput.ReadToEnd();
        stat.WaitForExit();
        return long.Parse(blocks, System.Globalization.CultureInfo.InvariantCulture);
    }

    // Root may open anything, so that a thread of its own becomes someone else to the file system, for as long as it lives.
    private static T AsNobody<T>(Func<T> action)
    {
        const int Nobody = 65534;
        T result = default!;
        var thread = new Thread(() =>
        {
            _ = SetFileSystemUser(Nobody);
            result = action();
        });
        thread.Start();
        thread.Join();
        return result;
    }

    [DllImport("libc", EntryPoint = "setfsuid")]
    private static extern int SetFileSystemUser(int user);

#pragma warning disable CA2101 // UTF-8 is what file names are
    [DllImport("libc", EntryPoint = "truncate64", CharSet = CharSet.Ansi)]
#pragma warning restore CA2101
    private static extern int TruncateFile(string path, long length);

    private sealed class ListLogger : ILogger
    {
        public List<string> Lines { get; } = [];

        public Exception? Failure { get; init; }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (Failure is not null)
                throw Failure;
            lock (Lines)
                Lines.Add(formatter(state, exception));
        }
    }
}
