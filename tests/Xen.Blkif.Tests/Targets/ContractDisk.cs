using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

/// <summary>A target with a folder of its own and known content, for one test.</summary>
internal sealed class ContractDisk : IDisposable
{
    private readonly List<TargetDriver> _drivers = [];
    private readonly int _vectorAlignment;

    public ContractDisk(Func<string, byte[], IBlockTarget> create, byte[] content, int vectorAlignment = 1)
    {
        _vectorAlignment = vectorAlignment;
        Target = create(Folder.Path, (byte[])content.Clone());
        Content = (byte[])content.Clone();
    }

    public TemporaryFolder Folder { get; } = new();

    public IBlockTarget Target { get; }

    public BlockTargetInfo Info => Target.Info;

    /// <summary>What a reader is to find.</summary>
    public byte[] Content { get; }

    /// <summary>Opens a queue, which is closed with the disk.</summary>
    public TargetDriver Drive(int depth = 32)
    {
        var driver = new TargetDriver(Target, depth, _vectorAlignment);
        lock (_drivers)
            _drivers.Add(driver);
        return driver;
    }

    /// <summary>Reads all of the disk and compares it.</summary>
    public void AssertContent(TargetDriver driver, string when = "")
    {
        byte[] found = driver.Read(0, Content.Length);
        int same = found.AsSpan().CommonPrefixLength(Content);
        if (same < found.Length)
            Assert.Fail($"The disk differs from what was written from byte {same} on. {when}");
    }

    /// <summary>Closes the queues and then the target.</summary>
    public void Close()
    {
        foreach (TargetDriver driver in _drivers)
            driver.Dispose();
        Target.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    public void Dispose()
    {
        Close();
        Folder.Dispose();
    }
}
