using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Spectre.Console;
using Xen.Blkif.Protocol;
using Xen.Blkif.Samples;
using Xen.Blkif.Samples.Loopback;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

var image = new Option<string>("--image") { HelpName = "PATH", Description = "Serve this raw image. Alone, it is read through the ring and compared." };
var import = new Option<string>("--import") { HelpName = "FILE", Description = "Write FILE to the start of the disk, through the ring." };
var export = new Option<string>("--export") { HelpName = "FILE", Description = "Read the whole disk into FILE, through the ring." };
var protocol = new Option<string>("--protocol") { Description = "The layout that the frontend speaks. Default: each in turn, or native where one is enough." };
protocol.AcceptOnlyFromAmong("native", "x86_64", "x86_32");
var order = new Option<int>("--ring-page-order") { HelpName = "0..4", Description = "The binary logarithm of the ring's pages.", DefaultValueFactory = _ => 0 };
order.Validators.Add(result => Range(result, 0, 4, order.Name));
var depth = new Option<int>("--depth") { HelpName = "N", Description = "Requests under way at once.", DefaultValueFactory = _ => 32 };
depth.Validators.Add(result => Range(result, 1, 512, depth.Name));
var target = new Option<string>("--target") { Description = "What the disk is: a file, memory, or nothing at all.", DefaultValueFactory = _ => "file" };
target.AcceptOnlyFromAmong("file", "memory", "null");
var readOnly = new Option<bool>("--read-only") { Description = "Serve the disk read-only." };
var sector = new Option<string>("--sector-size") { Description = "The sector size that the frontend sees; 512e makes sectors of 512 of such of 4096.", DefaultValueFactory = _ => "512" };
sector.AcceptOnlyFromAmong("512", "512e", "4096");
var size = new Option<string>("--size") { HelpName = "SIZE", Description = "The size of a disk without --image, such as 64M.", DefaultValueFactory = _ => "64M" };
var bench = new Option<string>("--bench") { HelpName = "SECONDS", Description = "Measure for so long. Writing overwrites the disk." };
var block = new Option<string>("--block-size") { HelpName = "SIZE", Description = "Bytes of each request of --bench, 512 to 128K.", DefaultValueFactory = _ => "4k" };
var pattern = new Option<string>("--pattern") { Description = "What --bench does.", DefaultValueFactory = _ => "randread" };
pattern.AcceptOnlyFromAmong("randread", "randwrite", "read", "write");
var json = new Option<bool>("--json") { Description = "Print one JSON document instead of a table." };

var root = new RootCommand("""
    Serves a disk through a Xen block ring to a frontend in the same process: no Xen needed.
    Without --image, --import, --export and --bench it fills a disk of its own, flushes, discards, reads it back and compares checksums.

    Exit codes: 0 done and verified; 1 wrong data or a failed request; 2 options or files that cannot be used; 130 interrupted.
    """)
{
    image, import, export, protocol, order, depth, target, sector, readOnly, size, bench, block, pattern, json,
};

root.SetAction(async (arguments, cancellation) =>
{
    try
    {
        // On a thread of its own: the work blocks, and the signal that ends it must get through.
        return await Task.Run(() => Run.ExecuteAsync(Read(arguments), cancellation), CancellationToken.None);
    }
    catch (OperationCanceledException)
    {
        Terminal.Errors.WriteLine("interrupted");
        return ExitCode.Interrupted;
    }
    catch (OutOfMemoryException)
    {
        Terminal.Errors.MarkupLineInterpolated($"[red]error:[/] There is not that much memory: choose a smaller --size.");
        return ExitCode.Unusable;
    }
    catch (Exception e) when (e is UserException or TargetException or UnauthorizedAccessException)
    {
        Terminal.Errors.MarkupLineInterpolated($"[red]error:[/] {e.Message}");
        return ExitCode.Unusable;
    }
    catch (Exception e) when (e is BlkifRequestException or IOException or TimeoutException)
    {
        Terminal.Errors.MarkupLineInterpolated($"[red]failed:[/] {e.Message}");
        return ExitCode.Failed;
    }
});

ParseResult parsed = root.Parse(args);
if (parsed.Errors.Count == 0)
    return await parsed.InvokeAsync();
foreach (ParseError error in parsed.Errors)
    await Console.Error.WriteLineAsync($"error: {error.Message}");
await Console.Error.WriteLineAsync("'--help' lists the options.");
return ExitCode.Unusable;

LoopbackOptions Read(ParseResult arguments) => new()
{
    Image = arguments.GetValue(image),
    Import = arguments.GetValue(import),
    Export = arguments.GetValue(export),
    Protocol = arguments.GetValue(protocol) switch
    {
        "native" => BlkifProtocol.Native,
        "x86_64" => BlkifProtocol.X64,
        "x86_32" => BlkifProtocol.X86,
        _ => null,
    },
    RingPageOrder = arguments.GetValue(order),
    Depth = arguments.GetValue(depth),
    Target = Enum.Parse<TargetKind>(arguments.GetValue(target)!, ignoreCase: true),
    SectorSize = arguments.GetValue(sector) is "512" ? 512 : 4096,
    Emulates512 = arguments.GetValue(sector) is "512e",
    ReadOnly = arguments.GetValue(readOnly),
    Size = SizeOf(arguments.GetValue(size)!, size.Name),
    BenchSeconds = SecondsOf(arguments),
    BlockSize = (int)Math.Min(SizeOf(arguments.GetValue(block)!, block.Name), int.MaxValue),
    Pattern = Enum.Parse<Pattern>(arguments.GetValue(pattern)!, ignoreCase: true),
    Json = arguments.GetValue(json),
};

double? SecondsOf(ParseResult arguments)
{
    if (arguments.GetValue(bench) is not { } text)
    {
        foreach (Option option in new Option[] { block, pattern })
        {
            if (arguments.GetResult(option) is { Implicit: false })
                throw new UserException($"{option.Name} says how --bench goes: add --bench SECONDS.");
        }

        return null;
    }

    return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double seconds) && seconds is > 0 and <= 86400
        ? seconds
        : throw new UserException($"--bench is a number of seconds such as 5 or 0.5, at most 86400, not '{text}'.");
}

static long SizeOf(string text, string option) =>
    ByteSize.TryParse(text, out long bytes) ? bytes : throw new UserException($"{option} is a size such as 4096, 4k or 64M, not '{text}'.");

static void Range(OptionResult result, int from, int to, string option)
{
    if (result.Tokens.Count > 0 && (!int.TryParse(result.Tokens[0].Value, out int value) || value < from || value > to))
        result.AddError($"{option} is a number from {from} to {to}, not '{result.Tokens[0].Value}'.");
}
