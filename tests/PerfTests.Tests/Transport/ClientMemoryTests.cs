using Microsoft.Win32.SafeHandles;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.PerfTests.Transport;
using Xen.Blkif.Tests.Targets;

namespace Xen.Blkif.PerfTests.Tests.Transport;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed unsafe class ClientMemoryTests : IDisposable
{
    private const int Pages = 4;

    private readonly TemporaryFolder _folder = new();
    private readonly SafeFileHandle _file;
    private readonly ClientMemory _memory;

    public ClientMemoryTests()
    {
        byte[] content = new byte[Pages * XenPage.Size];
        new Random(1).NextBytes(content);
        File.WriteAllBytes(_folder.PathOf("memory"), content);
        _file = File.OpenHandle(_folder.PathOf("memory"), FileMode.Open, FileAccess.ReadWrite);
        _memory = new ClientMemory(_file, content.Length);
    }

    public void Dispose()
    {
        _memory.Dispose();
        _file.Dispose();
        _folder.Dispose();
    }

    [Test]
    public void A_reference_is_the_number_of_a_page_for_copies_both_ways()
    {
        byte* local = stackalloc byte[1024];
        GrantCopySegment[] pieces =
        [
            GrantCopySegment.OutOfGuest((nint)local, 0, new GrantReference(2), 512, 1024),
            GrantCopySegment.IntoGuest((nint)local, 0, new GrantReference(3), 1024, 1024),
        ];

        Assert.That(_memory.Copy(pieces), Is.True);

        Assert.That(pieces.Select(piece => piece.Status), Is.All.EqualTo(GrantStatus.Okay));
        Assert.That(ContentAt((3 * XenPage.Size) + 1024, 1024), Is.EqualTo(ContentAt((2 * XenPage.Size) + 512, 1024)));
    }

    [TestCase(4u, 0)]
    [TestCase(uint.MaxValue, 0)]
    [TestCase(1u, 3584)]
    public void A_piece_that_leaves_the_memory_or_its_page_fails_alone(uint reference, int offset)
    {
        byte* local = stackalloc byte[1024];
        GrantCopySegment[] pieces =
        [
            GrantCopySegment.OutOfGuest((nint)local, 0, new GrantReference(reference), offset, 1024),
            GrantCopySegment.OutOfGuest((nint)local, 0, new GrantReference(0), 0, 1024),
        ];

        Assert.That(_memory.Copy(pieces), Is.False);

        Assert.That(pieces[0].Status, Is.EqualTo(GrantStatus.BadGrantReference));
        Assert.That(pieces[1].Status, Is.EqualTo(GrantStatus.Okay));
    }

    [TestCase(true, 1u, 2u, 3u)]
    [TestCase(false, 1u, 3u)]
    [TestCase(false, 3u, 4u)]
    [TestCase(false, uint.MaxValue)]
    public void Pages_are_mapped_together_where_they_lie_behind_each_other(bool mapped, params uint[] pages)
    {
        GrantReference[] references = [.. pages.Select(page => new GrantReference(page))];
        nint address = _memory.TryMap(0, references, writable: true);
        Assert.That(address != 0, Is.EqualTo(mapped));
        if (mapped)
            Assert.That(new Span<byte>((void*)address, 16).ToArray(), Is.EqualTo(ContentAt((int)pages[0] * XenPage.Size, 16)));
    }

    [Test]
    public void More_memory_than_the_client_has_is_refused() =>
        Assert.That(() => new ClientMemory(_file, (Pages + 1) * XenPage.Size), Throws.TypeOf<HypervisorException>());

    private byte[] ContentAt(int offset, int length)
    {
        byte[] content = new byte[length];
        RandomAccess.Read(_file, content, offset);
        return content;
    }
}
