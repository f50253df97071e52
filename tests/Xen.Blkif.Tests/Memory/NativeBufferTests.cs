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

    [Test]
    [Platform("Linux")]
    public void A_buffer_takes_no_memory_before_it_is_written_to_also_where_another_was_before()
    {
        for (int i = 0; i < 8; i++)
        {
            using var buffer = new NativeBuffer(64 * 4096);
            Assert.That(PagesInMemory(buffer), Is.Zero, $"buffer {i}");
            buffer.Slice(0, 64 * 4096).Fill(0xA5);
            Assert.That(PagesInMemory(buffer), Is.Positive);
        }
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

    // Whole pages of the system, which may be larger than Xen's.
    private static unsafe int PagesInMemory(NativeBuffer buffer)
    {
        nint page = Environment.SystemPageSize;
        nint first = ((nint)buffer.Start + page - 1) / page;
        nint end = ((nint)buffer.Start + (nint)buffer.Length) / page;
        byte[] pages = new byte[end - first];
        Assert.That(InMemory(first * page, (end - first) * page, pages), Is.Zero);
        return pages.Count(flags => (flags & 1) != 0);
    }

    [DllImport("libc", EntryPoint = "mincore")]
    private static extern int InMemory(nint start, nint length, byte[] pages);
}
