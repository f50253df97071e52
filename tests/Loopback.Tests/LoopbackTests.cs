using System.Text.Json;

[assembly: Parallelizable(ParallelScope.All)]

namespace Xen.Blkif.Samples.Loopback.Tests;

/// <summary>The sample, from the command line to the exit code.</summary>
internal sealed class LoopbackTests
{
    [Test]
    public async Task Without_arguments_it_verifies_a_disk_in_every_layout_and_shows_a_table()
    {
        Tool.Result result = await Tool.LoopbackAsync();
        Assert.That(result.ExitCode, Is.Zero, result.Errors);
        foreach (string word in new[] { "native", "x86_64", "x86_32", "write", "flush", "discard", "read", "p99", "IOPS" })
            Assert.That(result.Output, Does.Contain(word));
        Assert.That(result.Output.Split("verified"), Has.Length.EqualTo(1 + 3));
        Assert.That(result.Output, Does.Not.Contain("WRONG"));
        Assert.That(result.Output, Has.None.EqualTo('\u001b'), "plain text where no terminal is");
        Assert.That(result.Output.Split('\n').Max(line => line.TrimEnd().Length), Is.LessThanOrEqualTo(80));
    }

    [Test]
    public async Task The_export_of_a_file_system_is_byte_identical(
        [Values("native", "x86_64", "x86_32")] string protocol, [Values(0, 2, 4)] int order)
    {
        using var scratch = new Scratch();
        string image = await scratch.FileSystemAsync("disk.img", mebibytes: 24, contentBytes: 5_000_000);
        string copy = scratch.PathOf("copy.img");
        Tool.Result result = await Tool.LoopbackAsync(
            "--image", image, "--export", copy, "--protocol", protocol, "--ring-page-order", $"{order}", "--depth", $"{32 << order}");
        Assert.That(result.ExitCode, Is.Zero, result.Errors);
        FileAssert.AreEqual(image, copy);
    }

    [Test]
    public async Task An_imported_file_system_of_100_MiB_is_clean_and_identical()
    {
        using var scratch = new Scratch();
        string source = await scratch.FileSystemAsync("source.img", mebibytes: 100, contentBytes: 60_000_000);
        string disk = scratch.Blank("disk.img", 100 << 20);
        Tool.Result result = await Tool.LoopbackAsync("--image", disk, "--import", source);
        Assert.That(result.ExitCode, Is.Zero, result.Errors);

        Tool.Result check = await Tool.RunDebianAsync("e2fsck", "e2fsprogs", "-fn", disk);
        Assert.That(check.ExitCode, Is.Zero, check.Output + check.Errors);
        FileAssert.AreEqual(source, disk);
    }

    [Test]
    public async Task An_import_that_ends_inside_a_sector_keeps_what_is_behind_it()
    {
        using var scratch = new Scratch();
        string disk = scratch.Random("disk.img", 64 * 512, seed: 3);
        byte[] expected = File.ReadAllBytes(disk);
        string part = scratch.Random("part.bin", (5 * 512) + 100, seed: 4);
        File.ReadAllBytes(part).CopyTo(expected, 0);
        Tool.Result result = await Tool.LoopbackAsync("--image", disk, "--import", part);
        Assert.That(result.ExitCode, Is.Zero, result.Errors);
        Assert.That(File.ReadAllBytes(disk), Is.EqualTo(expected));
    }

    [Test]
    public async Task An_image_alone_is_read_compared_and_left_as_it_is([Values] bool readOnly)
    {
        using var scratch = new Scratch();
        string disk = scratch.Random("disk.img", 3 << 20);
        byte[] before = File.ReadAllBytes(disk);
        Tool.Result result = await Tool.LoopbackAsync(["--image", disk, .. readOnly ? new[] { "--read-only" } : []]);
        Assert.That(result.ExitCode, Is.Zero, result.Errors);
        Assert.That(result.Output, Does.Contain("verified"));
        Assert.That(File.ReadAllBytes(disk), Is.EqualTo(before));
    }

    [Test]
    public async Task A_benchmark_speaks_json_to_machines([Values("file", "memory", "null")] string target, [Values("randread", "write")] string pattern)
    {
        Tool.Result result = await Tool.LoopbackAsync(
            "--bench", "0.3", "--target", target, "--pattern", pattern, "--block-size", "8k", "--depth", "16", "--size", "4M", "--json");
        Assert.That(result.ExitCode, Is.Zero, result.Errors);
        using JsonDocument document = JsonDocument.Parse(result.Output);
        JsonElement row = document.RootElement.GetProperty("results").EnumerateArray().Single();
        Assert.That(row.GetProperty("operation").GetString(), Is.EqualTo(pattern));
        long requests = row.GetProperty("requests").GetInt64();
        Assert.That(requests, Is.GreaterThan(100));
        Assert.That(row.GetProperty("bytes").GetInt64(), Is.EqualTo(requests * 8192));
        Assert.That(row.GetProperty("iops").GetDouble(), Is.GreaterThan(0));
        Assert.That(row.GetProperty("latencyMicroseconds").GetProperty("p99").GetDouble(), Is.GreaterThan(0));
    }

    [Test]
    public async Task Memory_and_null_disks_verify_too([Values("memory", "null")] string target)
    {
        Tool.Result result = await Tool.LoopbackAsync("--target", target, "--size", "8M", "--protocol", "x86_32", "--ring-page-order", "4", "--depth", "512");
        Assert.That(result.ExitCode, Is.Zero, result.Errors);
        Assert.That(result.Output, Does.Contain("verified"));
    }

    [Test]
    public async Task An_export_onto_what_is_there_writes_to_it_and_does_not_replace_it()
    {
        using var scratch = new Scratch();
        string disk = scratch.Random("disk", 8192);
        string link = scratch.PathOf("link");
        File.CreateSymbolicLink(link, scratch.Random("old", 100));
        Tool.Result result = await Tool.LoopbackAsync("--image", disk, "--export", link);
        Assert.That(result.ExitCode, Is.Zero, result.Errors);
        Assert.That(new FileInfo(link).LinkTarget, Is.Not.Null, "still a link");
        FileAssert.AreEqual(disk, scratch.PathOf("old"));
    }

    [Test]
    public async Task Disks_of_every_sector_size_verify([Values("512", "512e", "4096")] string size, [Values("file", "memory")] string target)
    {
        Tool.Result result = await Tool.LoopbackAsync("--sector-size", size, "--target", target, "--size", "4M");
        Assert.That(result.ExitCode, Is.Zero, result.Output + result.Errors);
    }

    [Test]
    public async Task The_smallest_disk_verifies_too()
    {
        Tool.Result result = await Tool.LoopbackAsync("--size", "512");
        Assert.That(result.ExitCode, Is.Zero, result.Errors);
    }

    [Test]
    public async Task Help_lists_every_option()
    {
        Tool.Result result = await Tool.LoopbackAsync("--help");
        Assert.That(result.ExitCode, Is.Zero);
        foreach (string option in new[] { "image", "import", "export", "protocol", "ring-page-order", "depth", "target", "sector-size", "read-only", "bench", "block-size", "pattern", "json" })
            Assert.That(result.Output, Does.Contain("--" + option));
    }

    private static IEnumerable<TestCaseData> Misuses()
    {
        yield return Misuse("a missing image", ["--image", "{missing}"], "does not exist");
        yield return Misuse("a missing import", ["--image", "{disk}", "--import", "{missing}"], "does not exist");
        yield return Misuse("half a sector", ["--image", "{odd}"], "1000 bytes", "not a multiple of 512", "truncate");
        yield return Misuse("an empty image", ["--image", "{empty}"], "is empty");
        yield return Misuse("a folder", ["--image", "{folder}"], "is a directory");
        yield return Misuse("a disk too small", ["--image", "{disk}", "--import", "{large}"], "20480", "10240", "enlarge");
        yield return Misuse("an import into a read-only disk", ["--image", "{disk}", "--import", "{disk2}", "--read-only"], "read-only");
        yield return Misuse("a write benchmark of a read-only disk", ["--bench", "1", "--pattern", "randwrite", "--read-only"], "read-only");
        yield return Misuse("an export onto the image", ["--image", "{disk}", "--export", "{disk}"], "itself");
        yield return Misuse("an export into nowhere", ["--image", "{disk}", "--export", "{missing}/x"], "folder", "does not exist");
        yield return Misuse("an image of nothing", ["--image", "{disk}", "--target", "null"], "--target null");
        yield return Misuse("too deep", ["--depth", "64"], "32 slots", "--ring-page-order");
        yield return Misuse("no such order", ["--ring-page-order", "5"], "0 to 4");
        yield return Misuse("a block that is no sector", ["--bench", "1", "--sector-size", "4096", "--block-size", "512"], "--sector-size", "4096");
        yield return Misuse("a size that is no sector", ["--sector-size", "4096", "--size", "512"], "--size", "4096");
        yield return Misuse("no such layout", ["--protocol", "vax"], "vax", "x86_32");
        yield return Misuse("no such option", ["--frobnicate"], "--frobnicate");
        yield return Misuse("a block too large", ["--bench", "1", "--block-size", "256k"], "131072");
        yield return Misuse("a size that is none", ["--size", "lots"], "lots");
        yield return Misuse("a comma", ["--bench", "1,5"], "1,5", "0.5");
        yield return Misuse("a block without a bench", ["--block-size", "8k"], "--bench");
        yield return Misuse("no name", ["--image", ""], "--image");
        yield return Misuse("an import of the image", ["--image", "{disk}", "--import", "{disk}"], "another file");
        yield return Misuse("an import of a folder", ["--image", "{disk}", "--import", "{folder}"], "directory");
        yield return Misuse("no memory", ["--target", "memory", "--size", "9T"], "memory");
        yield return Misuse("no time", ["--bench", "-1"], "--bench");

        static TestCaseData Misuse(string name, string[] arguments, params string[] words) => new TestCaseData(arguments, words).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Misuses))]
    public async Task Misuse_is_told_in_one_sentence_with_exit_code_2_and_changes_nothing(string[] arguments, string[] words)
    {
        using var scratch = new Scratch();
        string disk = scratch.Random("disk", 20 * 512);
        byte[] before = File.ReadAllBytes(disk);
        _ = scratch.Random("disk2", 512);
        _ = scratch.Random("odd", 1000);
        _ = scratch.Random("empty", 0);
        _ = scratch.Random("large", 40 * 512);
        Directory.CreateDirectory(scratch.PathOf("folder"));
        string[] real = arguments.Select(a => a.StartsWith('{') ? scratch.PathOf(a.Replace("{", "", StringComparison.Ordinal).Replace("}", "", StringComparison.Ordinal)) : a).ToArray();

        Tool.Result result = await Tool.LoopbackAsync(real);

        Assert.That(result.ExitCode, Is.EqualTo(2), result.Output + result.Errors);
        string said = string.Join(' ', result.Errors.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        foreach (string word in words)
            Assert.That(said, Does.Contain(word));
        Assert.That(result.Errors, Does.Not.Contain("   at "), "no stack trace");
        Assert.That(File.ReadAllBytes(disk), Is.EqualTo(before));
    }
}
