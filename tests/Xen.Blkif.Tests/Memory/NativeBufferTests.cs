using System.Runtime.InteropServices;
using Xen.Blkif.Memory;

namespace Xen.Blkif.Tests.Memory;

[TestFixture]
[Parallelizable(ParallelScope.All)]
internal sealed class NativeBufferTests
{
    [Test]
    public void Pages_that_are_released_are_zeros_when_they_are_used_again_and_those_before_them_stay()
    {
        using var buffer = new NativeBuffer(64 * 4096);
        buffer.Slice(0, 64 * 4096).Fill(0xA5);
        buffer.ReleasePages(16 * 4096);
        Assert.That(buffer.Slice(0, 16 * 4096).IndexOfAnyExcept((byte)0xA5), Is.EqualTo(-1));
        byte expected = RuntimeInformation.IsOSPlatform(OSPlatform.Linux) ? (byte)0 : (byte)0xA5;
        Assert.That(buffer.Slice(16 * 4096, 48 * 4096).IndexOfAnyExcept(expected), Is.EqualTo(-1));
    }

    [TestCase(1)]
    [TestCase(4095)]
    [TestCase(4097)]
    public void What_shares_its_page_with_others_is_not_released(int length)
    {
        using var buffer = new NativeBuffer(length);
        buffer.Slice(0, length).Fill(0xA5);
        buffer.ReleasePages(length > 4096 ? 4096 : 0);
        Assert.That(buffer.Slice(0, length).IndexOfAnyExcept((byte)0xA5), Is.EqualTo(-1));
    }
}
