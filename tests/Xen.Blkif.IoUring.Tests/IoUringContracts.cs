using Xen.Blkif.Targets;
using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.IoUring.Tests;

// The target by the contract of all targets. Its queues have a thread of their own here, which waits in the ring.

[TestFixture(false)]
[TestFixture(true)]
internal sealed class IoUringTargetContract(bool direct) : WritableTargetContract
{
    protected override int VectorUnit => direct ? 512 : 1;

    protected override int VectorAlignment => VectorUnit;

    protected override IBlockTarget Create(string folder, byte[] content) => Image(folder, content, new FileTargetOptions { DirectIo = direct });

    internal static IoUringTarget Image(string folder, byte[] content, FileTargetOptions options)
    {
        string path = Path.Combine(folder, "disk.img");
        File.WriteAllBytes(path, content);
        return Ring.Open(path, options);
    }
}

[TestFixture(false)]
[TestFixture(true)]
internal sealed class ReadOnlyIoUringTargetContract(bool direct) : BlockTargetContract
{
    protected override int VectorUnit => direct ? 512 : 1;

    protected override int VectorAlignment => VectorUnit;

    protected override IBlockTarget Create(string folder, byte[] content) =>
        IoUringTargetContract.Image(folder, content, new FileTargetOptions { ReadOnly = true, DirectIo = direct });
}

internal sealed class Emulated512OnIoUringContract : WritableTargetContract
{
    protected override IBlockTarget Create(string folder, byte[] content)
    {
        byte[] blocks = [.. content, .. new byte[(4096 - (content.Length % 4096)) % 4096]];
        var options = new FileTargetOptions { LogicalSectorSize = 4096 };
        return new ShorterTarget(new Emulated512Target(IoUringTargetContract.Image(folder, blocks, options)), content.Length);
    }
}
