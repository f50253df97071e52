using Spectre.Console;
using Xen.Blkif.Diagnostics;
using Xen.Blkif.Protocol;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Samples.Loopback;

/// <summary>Does what the options ask for, once for each layout.</summary>
internal static class Run
{
    // The 32 pages that a frontend asks for unless it is told to ask for more.
    private const int LargestBlock = 32 * 4096;

    public static async Task<int> ExecuteAsync(LoopbackOptions options, CancellationToken cancellation)
    {
        Check(options);
        cancellation.ThrowIfCancellationRequested();
        await using Disk disk = await Disk.OpenAsync(options);
        CheckDisk(options, disk);

        var results = new List<Measurement>();
        await Terminal.Progress.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new ElapsedTimeColumn())
            .StartAsync(async context =>
            {
                foreach (BlkifProtocol protocol in Protocols(options))
                    await ServeAsync(options, disk, protocol, context, results, cancellation);
            });

        if (options.Json)
            Report.WriteJson(Console.Out, disk, options, results);
        else
            Report.WriteTable(Terminal.Output, disk, options, results);
        return results.TrueForAll(r => r.Verified != false) ? ExitCode.Okay : ExitCode.Failed;
    }

    // Each layout shows the same of a file, and to write a file once is enough.
    private static IEnumerable<BlkifProtocol> Protocols(LoopbackOptions options)
    {
        if (options.Protocol is { } chosen)
            return [chosen];
        return options.IsSelfCheck || options is { Import: null, Export: null, BenchSeconds: null }
            ? [BlkifProtocol.Native, BlkifProtocol.X64, BlkifProtocol.X86]
            : [BlkifProtocol.Native];
    }

    private static async Task ServeAsync(
        LoopbackOptions options, Disk disk, BlkifProtocol protocol, ProgressContext context, List<Measurement> results, CancellationToken cancellation)
    {
        string name = NameOf(protocol);
        await using Session session = await Session.OpenAsync(disk.Target, options, protocol);
        if (options.IsSelfCheck)
        {
            var check = new SelfCheck(session, name, options.Target, NewTask($"{name}: write, flush, discard, read"));
            results.AddRange(check.Run(seed: (int)protocol + 1));
            return;
        }

        if (options.Import is not null)
            results.Add(new Transfer(session, name, NewTask($"{name}: import {options.Import}")).Import(options.Import));
        if (options.Export is not null)
            results.Add(new Transfer(session, name, NewTask($"{name}: export to {options.Export}")).Export(options.Export));
        if (options.BenchSeconds is { } seconds)
            results.Add(new Bench(session, name, options, NewTask($"{name}: {options.Pattern} {BinarySize.Format(options.BlockSize)}")).Run(seconds));
        if (options is { Image: not null, Import: null, Export: null, BenchSeconds: null })
            results.Add(new Transfer(session, name, NewTask($"{name}: read {options.Image}")).Verify(options.Image));

        IProgress<double> NewTask(string description) => new Fraction(context.AddTask(Markup.Escape(description), maxValue: 1), cancellation);
    }

    private static string NameOf(BlkifProtocol protocol) => protocol switch
    {
        BlkifProtocol.Native => "native",
        BlkifProtocol.X64 => "x86_64",
        _ => "x86_32",
    };

    private static void Check(LoopbackOptions options)
    {
        uint slots = BlkifProtocols.Resolve(options.Protocol ?? BlkifProtocol.Native) == BlkifProtocol.X86
            ? Rings.RingSize.Slots<X86Request, X86Response>(options.RingPageOrder)
            : Rings.RingSize.Slots<X64Request, X64Response>(options.RingPageOrder);
        if (options.Depth > slots)
            throw new UserException($"A ring of page order {options.RingPageOrder} has {slots} slots: --depth is at most that, or choose a larger --ring-page-order.");
        if (options.BlockSize % BlkifLimits.SectorSize != 0 || options.BlockSize > LargestBlock || options.BlockSize <= 0)
            throw new UserException($"--block-size is a multiple of 512, from 512 to {LargestBlock} (128k), the most that one request carries.");
        if (!options.Emulates512 && options.BlockSize % options.SectorSize != 0)
            throw new UserException($"--block-size is a multiple of --sector-size, which is {options.SectorSize}.");
        if (options.Size <= 0 || options.Size % options.SectorSize != 0)
            throw new UserException($"--size is a multiple of {options.SectorSize} bytes, for example 64M.");
        foreach ((string option, string? path) in new[] { ("--image", options.Image), ("--import", options.Import), ("--export", options.Export) })
        {
            if (path is "")
                throw new UserException($"{option} names no file.");
        }

        if (Directory.Exists(options.Export))
            throw new UserException($"'{options.Export}' is a directory: name a file to export to.");
        if (Directory.Exists(options.Import))
            throw new UserException($"'{options.Import}' is a directory: name a file to import.");
        if (options.Import is not null && options.Image is not null && string.Equals(RealPath(options.Import), RealPath(options.Image), StringComparison.Ordinal))
            throw new UserException($"--import would read the image '{options.Image}' that it writes to: choose another file.");
        if (options.Image is not null && options.Target == TargetKind.Null)
            throw new UserException("--target null serves no image: leave out --image, or choose another --target.");
        if (options.ReadOnly && options.Writes)
            throw new UserException("The disk is read-only: leave out --read-only, or what writes to it (--import, --pattern write or randwrite).");
        if (options.ReadOnly && options.IsSelfCheck)
            throw new UserException("The disk is read-only: name what to read with --image, or leave out --read-only.");
        if (options.Import is not null && !File.Exists(options.Import))
            throw new UserException($"The file '{options.Import}' to import does not exist.");
        if (options.Import is not null && new FileInfo(options.Import).Length == 0)
            throw new UserException($"The file '{options.Import}' to import is empty, or no regular file.");
        if (options.Export is not null && options.Image is not null && string.Equals(RealPath(options.Export), RealPath(options.Image), StringComparison.Ordinal))
        {
            throw new UserException($"--export would overwrite the image '{options.Image}' itself: choose another file.");
        }

        if (options.Export is not null && Path.GetDirectoryName(Path.GetFullPath(options.Export)) is { } folder && !Directory.Exists(folder))
            throw new UserException($"The folder '{folder}' to export to does not exist.");
    }

    private static string RealPath(string path) =>
        File.Exists(path) && File.ResolveLinkTarget(path, returnFinalTarget: true) is { } target ? target.FullName : Path.GetFullPath(path);

    private static void CheckDisk(LoopbackOptions options, Disk disk)
    {
        if (options.Import is not null && new FileInfo(options.Import).Length > disk.Length)
        {
            throw new UserException(
                $"'{options.Import}' has {new FileInfo(options.Import).Length} bytes, but the disk only {disk.Length}: enlarge it, for example with 'truncate -s', or --size.");
        }

        if (options.BenchSeconds is not null && disk.Length < options.BlockSize)
            throw new UserException($"The disk has {disk.Length} bytes, less than one --block-size.");
    }

    // Every step reports often, so that this is where it hears that the user has had enough.
    private sealed class Fraction(ProgressTask task, CancellationToken cancellation) : IProgress<double>
    {
        public void Report(double value)
        {
            cancellation.ThrowIfCancellationRequested();
            task.Value = value;
        }
    }
}
