using Xen.Blkif.Targets;

namespace Xen.Blkif.Samples.Loopback;

/// <summary>The target to serve, with the temporary image behind it where none was named.</summary>
internal sealed class Disk : IAsyncDisposable
{
    private readonly string? _temporary;

    private Disk(IBlockTarget target, string name, string? temporary)
    {
        Target = target;
        Name = name;
        _temporary = temporary;
    }

    public IBlockTarget Target { get; }

    /// <summary>What it is, for people.</summary>
    public string Name { get; }

    public long Length => Target.Info.Length;

    public static async Task<Disk> OpenAsync(LoopbackOptions options)
    {
        Disk disk = options.Target switch
        {
            TargetKind.Null => new Disk(new NullTarget(options.Size, options.SectorSize), "a disk that forgets", null),
            TargetKind.Memory => await OpenMemoryAsync(options),
            _ => OpenFile(options),
        };
        if (options.Emulates512)
            disk = new Disk(new Emulated512Target(disk.Target), disk.Name, disk._temporary);
        return options.ReadOnly && !disk.Target.Info.ReadOnly
            ? new Disk(new ReadOnlyTarget(disk.Target), disk.Name, disk._temporary)
            : disk;
    }

    public async ValueTask DisposeAsync()
    {
        await Target.DisposeAsync();
        if (_temporary is not null)
            File.Delete(_temporary);
    }

    private static Disk OpenFile(LoopbackOptions options)
    {
        var sectors = new FileTargetOptions { LogicalSectorSize = options.SectorSize };
        if (options.Image is not null)
            return new Disk(FileTarget.Open(options.Image, sectors with { ReadOnly = options.ReadOnly || options.OnlyReads }), options.Image, null);

        string path = Path.Combine(Path.GetTempPath(), $"xen-blkif-{Guid.NewGuid():N}.img");
        try
        {
            using (FileStream image = File.Create(path))
                image.SetLength(options.Size);
            FileTarget target = FileTarget.Open(path, sectors);

            // Open is all that it needs to be: without a name it goes with the program, however that ends.
            if (OperatingSystem.IsWindows())
                return new Disk(target, "a temporary image", path);
            File.Delete(path);
            return new Disk(target, "a temporary image", null);
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    private static async Task<Disk> OpenMemoryAsync(LoopbackOptions options)
    {
        if (options.Image is null)
            return new Disk(new MemoryTarget(options.Size, options.SectorSize), "a disk in memory", null);

        // Through the file target, so that a bad image meets the same sentence.
        await using FileTarget image = FileTarget.Open(options.Image, new FileTargetOptions { ReadOnly = true, Workers = 0, LogicalSectorSize = options.SectorSize });
        var memory = new MemoryTarget(image.Info.Length, options.SectorSize);
        await using FileStream stream = File.Open(options.Image, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        byte[] chunk = new byte[1 << 20];
        for (long offset = 0; offset < image.Info.Length;)
        {
            int read = await stream.ReadAsync(chunk);
            memory.CopyFrom(offset, chunk.AsSpan(0, read));
            offset += read;
        }

        return new Disk(memory, $"a copy of {options.Image} in memory", null);
    }
}
