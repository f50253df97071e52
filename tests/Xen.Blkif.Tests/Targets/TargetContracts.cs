using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

// Every target of the library, and wrappers of wrappers, by the contract.

internal sealed class MemoryTargetContract : WritableTargetContract
{
    protected override int VectorUnit => 1;

    protected override IBlockTarget Create(string folder, byte[] content) => Memory(content);

    internal static MemoryTarget Memory(byte[] content, int sectorSize = 512)
    {
        var target = new MemoryTarget(content.Length, sectorSize);
        target.CopyFrom(0, content);
        return target;
    }
}

[TestFixture(0)]
[TestFixture(4)]
[TestFixture(16)]
internal sealed class FileTargetContract(int workers) : WritableTargetContract
{
    protected override int VectorUnit => 1;

    protected override IBlockTarget Create(string folder, byte[] content) => Image(folder, content, new FileTargetOptions { Workers = workers });

    internal static FileTarget Image(string folder, byte[] content, FileTargetOptions options)
    {
        string path = Path.Combine(folder, "disk.img");
        File.WriteAllBytes(path, content);
        return FileTarget.Open(path, options);
    }
}

[TestFixture(0)]
[TestFixture(4)]
internal sealed class ReadOnlyFileTargetContract(int workers) : BlockTargetContract
{
    protected override int VectorUnit => 1;

    protected override IBlockTarget Create(string folder, byte[] content) =>
        FileTargetContract.Image(folder, content, new FileTargetOptions { Workers = workers, ReadOnly = true });
}

internal sealed class NullTargetContract : WritableTargetContract
{
    protected override bool Forgets => true;

    protected override int VectorUnit => 1;

    protected override IBlockTarget Create(string folder, byte[] content) => new NullTarget(content.Length);
}

internal sealed class ReadOnlyTargetContract : BlockTargetContract
{
    protected override int VectorUnit => 1;

    protected override IBlockTarget Create(string folder, byte[] content) => new ReadOnlyTarget(MemoryTargetContract.Memory(content));
}

internal sealed class FaultTargetContract : WritableTargetContract
{
    protected override int VectorUnit => 1;

    protected override IBlockTarget Create(string folder, byte[] content) =>
        new FaultTarget(MemoryTargetContract.Memory(content), (in BlockIo _) => BlockStatus.Okay);
}

internal sealed class Emulated512OnMemoryContract : WritableTargetContract
{
    protected override IBlockTarget Create(string folder, byte[] content) =>
        new ShorterTarget(new Emulated512Target(MemoryTargetContract.Memory(WholeBlocks(content), 4096)), content.Length);

    internal static byte[] WholeBlocks(byte[] content) => [.. content, .. new byte[(4096 - (content.Length % 4096)) % 4096]];
}

[TestFixture(0)]
[TestFixture(4)]
internal sealed class Emulated512OnFileContract(int workers) : WritableTargetContract
{
    protected override IBlockTarget Create(string folder, byte[] content)
    {
        var options = new FileTargetOptions { Workers = workers, LogicalSectorSize = 4096 };
        FileTarget file = FileTargetContract.Image(folder, Emulated512OnMemoryContract.WholeBlocks(content), options);
        return new ShorterTarget(new Emulated512Target(file), content.Length);
    }
}

internal sealed class Emulated512OnDelayContract : WritableTargetContract
{
    protected override IBlockTarget Create(string folder, byte[] content)
    {
        MemoryTarget memory = MemoryTargetContract.Memory(Emulated512OnMemoryContract.WholeBlocks(content), 4096);
        return new ShorterTarget(new Emulated512Target(new DelayTarget(memory, TimeSpan.FromMilliseconds(1))), content.Length);
    }
}

internal sealed class DelayTargetContract : WritableTargetContract
{
    protected override int VectorUnit => 1;

    protected override IBlockTarget Create(string folder, byte[] content) =>
        new DelayTarget(MemoryTargetContract.Memory(content), TimeSpan.FromMilliseconds(2));
}

internal sealed class DelayTargetOverFileContract : WritableTargetContract
{
    protected override int VectorUnit => 1;

    protected override IBlockTarget Create(string folder, byte[] content) =>
        new DelayTarget(FileTargetContract.Image(folder, content, new FileTargetOptions()), TimeSpan.FromMilliseconds(1));
}

[TestFixture(TaskTiming.AtOnce)]
[TestFixture(TaskTiming.Later)]
[TestFixture(TaskTiming.Mixed)]
internal sealed class AsyncBlockTargetContract(TaskTiming timing) : WritableTargetContract
{
    protected override int VectorUnit => 1;

    protected override IBlockTarget Create(string folder, byte[] content) => new TaskTarget(content, timing);
}

internal sealed class WrappersOfWrappersContract : WritableTargetContract
{
    protected override int VectorUnit => 1;

    protected override IBlockTarget Create(string folder, byte[] content)
    {
        FileTarget file = FileTargetContract.Image(folder, content, new FileTargetOptions());
        return new FaultTarget(new DelayTarget(new FaultTarget(file, LetPass), TimeSpan.FromMilliseconds(1)), LetPass);

        static BlockStatus LetPass(in BlockIo io) => BlockStatus.Okay;
    }
}

internal sealed class ReadOnlyWrapperOfWrappersContract : BlockTargetContract
{
    protected override int VectorUnit => 1;

    protected override IBlockTarget Create(string folder, byte[] content) =>
        new ReadOnlyTarget(new DelayTarget(new ReadOnlyTarget(new TaskTarget(content, TaskTiming.Later)), TimeSpan.FromMilliseconds(1)));
}
